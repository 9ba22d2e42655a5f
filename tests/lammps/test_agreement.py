# SPDX-License-Identifier: GPL-2.0-or-later
"""LAMMPS on any number of ranks = the compiled core in Python = the eager model.

One start of `lmp` per number of ranks and way of dealing with ghosts goes through all systems,
types and decompositions.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from ase import Atoms

from egraff import _core
from egraff.forces import predict
from egraff.graph import build_graph
from tests.lammps.engine import MEASURE, Result, must_run, read_result, write_data
from tests.lammps.systems import ELEMENTS, R_MAX, SYSTEMS
from tests.lammps.toy import toy

MODELS = {
    "float64": {"dtype": "float64"},
    "float32": {"dtype": "float32"},
    # shorter for some pairs, and not the same for both directions
    "pair cutoffs": {"dtype": "float64", "pair_cutoffs": {"H": 2.6, "O": {"H": 3.1}}},
}
# relative to the largest number of its kind
TOLERANCE = {"float64": 1e-10, "float32": 1e-5, "pair cutoffs": 1e-10}
RUNS = [(1, "fold"), (1, "exchange"), (2, "auto"), (4, "auto"), (1, "extended"), (2, "extended")]
COMM_STYLES = ["brick", "tiled"]
# bar per eV/A^3 as LAMMPS has it (`nktv2p` of units metal), which is not today's CODATA value
LAMMPS_BAR = 1.6021765e6


def is_tiled_possible(system: str) -> bool:
    """LAMMPS itself refuses tiled communication beyond one periodic length."""
    atoms = SYSTEMS[system]
    periodic = atoms.cell.lengths()[atoms.pbc]
    return not len(periodic) or periodic.min() > R_MAX + 0.5


def cases_of(ranks: int, mode: str) -> list[tuple[str, str, str]]:
    """Return (system, model, comm_style): all that are possible on one rank, else a selection.

    Ranks that share a core spend their time waiting for each other, so not all are repeated there.
    """
    chosen = [(system, "float64", "brick") for system in SYSTEMS]
    if mode != "extended":  # whose ghosts reach too far for these boxes
        chosen += [(system, "float64", "tiled") for system in SYSTEMS if is_tiled_possible(system)]
    chosen += [("triclinic", "float32", "brick"), ("empty ranks", "float32", "brick")]
    chosen += [("triclinic", "pair cutoffs", "brick")]
    if ranks == 1:
        chosen += [(system, model, "brick") for system in SYSTEMS for model in MODELS]
    return sorted(set(chosen))


def script(system: str, model: str, comm_style: str, mode: str, prefix: str) -> str:
    atoms = SYSTEMS[system]
    boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
    if system == "non-periodic":
        boundary = "s s s"
    balance = "balance 1.0 rcb" if comm_style == "tiled" and system != "empty ranks" else ""
    return f"""
clear
units metal
boundary {boundary}
{"processors 1 1 *" if system == "empty ranks" else ""}
comm_style {comm_style}
box tilt large
read_data {system.replace(" ", "_")}.data
{balance}
neighbor 0.5 bin
pair_style egraff mode {mode}
pair_coeff * * {model.replace(" ", "_")}.egraff.pt {" ".join(ELEMENTS)}
{MEASURE.format(prefix=prefix)}
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A directory with all models and structures."""
    from egraff.export import export_torchscript

    path = tmp_path_factory.mktemp("agreement")
    for name, options in MODELS.items():
        export_torchscript(toy(**options), path / f"{name.replace(' ', '_')}.egraff.pt")
    for name, atoms in SYSTEMS.items():
        write_data(atoms, path / f"{name.replace(' ', '_')}.data", ELEMENTS)
    return path


@pytest.fixture(scope="module")
def results(directory):
    """Return a function from ranks and mode to all results of one start of `lmp`, by case."""
    made = {}

    def results_of(ranks: int, mode: str) -> dict[tuple[str, str, str], Result]:
        if (ranks, mode) not in made:
            prefixes = {case: f"{ranks}-{mode}-{k}" for k, case in enumerate(cases_of(ranks, mode))}
            text = "".join(script(*case, mode, prefix) for case, prefix in prefixes.items())
            must_run(text, directory, ranks=ranks)
            made[ranks, mode] = {
                case: read_result(directory / prefix) for case, prefix in prefixes.items()
            }
        return made[ranks, mode]

    return results_of


@pytest.fixture(scope="module")
def expected(directory):
    """Return a function from system and model to the values of core and eager model."""
    made = {}

    def values(system: str, model: str) -> dict[str, np.ndarray]:
        if (system, model) not in made:
            made[system, model] = _expected(directory, SYSTEMS[system], model)
        return made[system, model]

    return values


def _expected(directory, atoms: Atoms, model: str) -> dict[str, np.ndarray]:
    core = _core.Model(str(directory / f"{model.replace(' ', '_')}.egraff.pt"))
    graph = build_graph(
        atoms.get_chemical_symbols(),
        atoms.positions,
        atoms.cell.array,
        atoms.pbc,
        elements=core.elements,
        r_max=R_MAX,
        pair_cutoffs=json.loads(core.metadata)["pair_cutoffs"],
    )
    out = core.evaluate(graph.species, graph.edge_index, graph.edge_vec, len(atoms))
    eager = predict(toy(**MODELS[model]), graph)
    limit = TOLERANCE[model]
    for name in ("atomic_energy", "forces", "edge_gradient"):
        here = getattr(eager, name)
        scale = max(1.0, float(here.abs().max())) if here.numel() else 1.0
        assert torch.allclose(here, out[name], rtol=0, atol=limit * scale), name
    assert torch.allclose(eager.virial[0], out["virial"], atol=limit * 100, rtol=limit)
    parts = (graph.edge_index, graph.edge_vec, out["edge_gradient"], len(atoms))
    return {
        "energy": out["atomic_energy"].numpy(),
        "forces": out["forces"].numpy(),
        "virial": out["virial"].numpy(),
        "virial6": _core.atom_virials(*parts).numpy(),
        "virial9": _core.atom_virials(*parts, centroid=True).numpy(),
    }


def close(got, wanted, tolerance: float, floor: float = 1.0) -> None:
    """Compare relative to the largest number, and to ``floor`` if all are small."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape
    scale = max(floor, float(np.abs(wanted).max()))
    assert np.abs(got - wanted).max() <= tolerance * scale


@pytest.mark.parametrize(
    ("run", "case"),
    [
        pytest.param(run, case, id="-".join(map(str, run + case)))
        for run in RUNS
        for case in cases_of(*run)
    ],
)
def test_agrees_with_python(results, expected, run, case):
    system, model, _ = case
    result = results(*run)[case]
    wanted, limit = expected(system, model), TOLERANCE[model]
    thermo = result.thermo

    close(thermo["pe"], wanted["energy"].sum(), limit)
    close(thermo["sum_pe"], wanted["energy"].sum(), limit)
    close(result.atoms["c_energy"], wanted["energy"], limit)
    close(result.columns("fx", "fy", "fz"), wanted["forces"], limit)

    # LAMMPS: per-atom stress times volume in bar A^3, tension positive
    atoms6 = -result.columns(*(f"c_virial[{k}]" for k in range(1, 7))) / LAMMPS_BAR
    atoms9 = -result.columns(*(f"c_centroid[{k}]" for k in range(1, 10))) / LAMMPS_BAR
    close(atoms6, wanted["virial6"], limit)
    close(atoms9, wanted["virial9"], limit)

    pressure = [thermo[f"p{ab}"] for ab in ("xx", "yy", "zz", "xy", "xz", "yz")]
    total = np.array(pressure) * thermo["vol"] / LAMMPS_BAR
    w = wanted["virial"]
    close(total, [w[0, 0], w[1, 1], w[2, 2], w[0, 1], w[0, 2], w[1, 2]], limit, floor=10.0)
    close(atoms6.sum(0), total, limit, floor=10.0)
    close(atoms9.sum(0)[:6], total, limit, floor=10.0)
    close(atoms9.sum(0)[6:], total[3:], limit, floor=10.0)
