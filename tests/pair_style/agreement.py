# SPDX-License-Identifier: GPL-2.0-or-later
"""LAMMPS against Python, quantity by quantity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from egraff import _core
from egraff.forces import predict
from egraff.graph import Graph
from egraff.lammps.single_point import single_point
from egraff.models import ForceField
from tests.models.structures import graph_of, rotation
from tests.pair_style.engine import MEASURE, Result, must_run, read_result, write_data
from tests.pair_style.systems import BOUNDARIES, ELEMENTS, R_MAX, SYSTEMS

# bar per eV/A^3 as LAMMPS has it (`nktv2p` of units metal), which is not today's CODATA value
LAMMPS_BAR = 1.6021765e6


def agrees(model: ForceField, path: Path, atoms: Atoms, *, ranks: int, tolerance: float) -> None:
    """Check that `lmp` with a file gives what the eager model gives in Python.

    The tolerance is relative to the largest number of each quantity.
    """
    expected = predict(model, graph_of(model, atoms))
    result = single_point(path, atoms, ranks=ranks)
    found = {
        "energy": (result.energy, float(expected.energy)),
        "atomic energies": (result.atomic_energy, expected.atomic_energy.numpy()),
        "forces": (result.forces, expected.forces.numpy()),
        "virial": (result.virial, expected.virial[0].numpy()),
    }
    for quantity, (lammps, python) in found.items():
        error = np.abs(lammps - python).max() / np.abs(python).max()
        assert error < tolerance, f"{quantity}: {error:.1e} relative"


@dataclass(frozen=True, order=True)
class Case:
    """A system of :data:`tests.pair_style.systems.SYSTEMS`, a file, how LAMMPS divides the box."""

    system: str
    file: str
    comm_style: str = "brick"


def can_be_tiled(system: str) -> bool:
    """LAMMPS itself refuses tiled communication beyond one periodic length."""
    atoms = SYSTEMS[system]
    periodic = atoms.cell.lengths()[atoms.pbc]
    return not len(periodic) or periodic.min() > R_MAX + 0.5


def write_systems(directory: Path) -> None:
    """Write all systems as data files."""
    for name, atoms in SYSTEMS.items():
        turn = rotation(3) if name == "general triclinic" else None
        write_data(atoms, directory / _data_file(name), ELEMENTS, rotation=turn)


def _data_file(system: str) -> str:
    return f"{system.replace(' ', '_')}.data"


def _script(case: Case, style: str, prefix: str) -> str:
    periodic = SYSTEMS[case.system].pbc
    boundary = BOUNDARIES.get(case.system, " ".join("p" if p else "f" for p in periodic))
    empty = case.system == "empty ranks"
    return f"""
clear
units metal
boundary {boundary}
{"processors 1 1 *" if empty else ""}
comm_style {case.comm_style}
box tilt large
read_data {_data_file(case.system)}
{"balance 1.0 rcb" if case.comm_style == "tiled" and not empty else ""}
neighbor 0.5 bin
pair_style egraff centroid_stress approximate {style}
pair_coeff * * {case.file} {" ".join(ELEMENTS)}
{MEASURE.format(prefix=prefix)}
"""


def run_cases(
    cases: list[Case], directory: Path, *, ranks: int, style: str = "", **options: float
) -> dict[Case, Result]:
    """Compute all cases in one start of `lmp`, in the directory of :func:`write_systems`.

    ``style`` is what follows `pair_style egraff`.
    """
    prefixes = {case: f"{ranks}-{style.replace(' ', '-')}-{k}" for k, case in enumerate(cases)}
    text = "".join(_script(case, style, prefix) for case, prefix in prefixes.items())
    must_run(text, directory, ranks=ranks, **options)
    return {case: read_result(directory / prefix) for case, prefix in prefixes.items()}


Values = Mapping[str, NDArray[np.float64]]


def values_in_python(graph: Graph, atomic_energy, forces, virial, edge_gradient) -> Values:
    """Return what :func:`values_in_lammps` must be, from tensors of one structure."""
    parts = (graph.edge_index, graph.edge_vec, edge_gradient, graph.n_atoms)
    w = np.asarray(virial)
    total = np.array([w[0, 0], w[1, 1], w[2, 2], w[0, 1], w[0, 2], w[1, 2]])
    energy = np.asarray(atomic_energy)
    return {
        "energy": energy.sum(),
        "sum of atomic energies": energy.sum(),
        "atomic energies": energy,
        "forces": np.asarray(forces),
        "atomic virials": _core.atom_virials(*parts).numpy(),
        "centroid virials": _core.atom_virials(*parts, centroid=True).numpy(),
        "virial": total,
        "sum of atomic virials": total,
        "sum of centroid virials": total[[0, 1, 2, 3, 4, 5, 3, 4, 5]],
    }


def sizes_in_python(graph: Graph, atomic_energy, edge_gradient) -> dict[str, float]:
    """Return what the error of each quantity is relative to: the largest sum of sizes of its terms.

    Forces and virials are sums over edges, which may cancel, on symmetric sites to nothing: no sum
    is nearer to the truth than its terms are.
    """
    vectors, gradient = graph.edge_vec.abs(), edge_gradient.abs()
    forces = torch.zeros(graph.n_atoms, 3, dtype=gradient.dtype)
    for end in graph.edge_index:
        forces = forces.index_add(0, end, gradient)
    sizes = values_in_python(
        replace(graph, edge_vec=vectors),
        atomic_energy.abs(),
        forces,
        vectors.to(gradient.dtype).T @ gradient,
        gradient,
    )
    return {quantity: float(np.abs(values).max()) for quantity, values in sizes.items()}


def values_in_lammps(result: Result) -> Values:
    """Return energies in eV, forces in eV/A and virials in eV, LAMMPS's sign.

    Components are xx yy zz xy xz yz, of the centroid kind also yx zx zy.
    """
    thermo = result.thermo
    # LAMMPS: per-atom stress times volume in bar A^3, tension positive
    atoms6 = -result.columns(*(f"c_virial[{k}]" for k in range(1, 7))) / LAMMPS_BAR
    atoms9 = -result.columns(*(f"c_centroid[{k}]" for k in range(1, 10))) / LAMMPS_BAR
    pressure = np.array([thermo[f"p{ab}"] for ab in ("xx", "yy", "zz", "xy", "xz", "yz")])
    return {
        "energy": np.array(thermo["pe"]),
        "sum of atomic energies": np.array(thermo["sum_pe"]),
        "atomic energies": result.atoms["c_energy"],
        "forces": result.columns("fx", "fy", "fz"),
        "atomic virials": atoms6,
        "centroid virials": atoms9,
        "virial": pressure * thermo["vol"] / LAMMPS_BAR,
        "sum of atomic virials": atoms6.sum(0),
        "sum of centroid virials": atoms9.sum(0),
    }
