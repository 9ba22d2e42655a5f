# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs of real LAMMPS with a Lennard-Jones crystal: seconds, and exact answers to compare with."""

import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

from egraff.lammps import inputs, launch
from egraff.lammps.run import run_md
from egraff.lammps.run_settings import make_settings
from egraff.metadata import CONTRACT
from egraff.neighbours import find_edges
from tests.model_files import made_up

EPSILON_EV = 0.0104
SIGMA_ANG = 3.4
CUTOFF_ANG = 6.0

METADATA = {
    "contract": CONTRACT,
    "egraff_version": "0.1.0",
    "created": "today",
    "format": "torchscript",
    "torch_version": "2.13.0",
    "architecture": "made up",
    "config": {"energy_shift": [0.0] * 4},
    "dtype": "float64",
    "elements": ["O", "C", "H", "Ar"],
    "exchange_widths": [],
    "outputs": ["atomic_energy"],
    "fused": False,
    "blocks_inside": False,
    "r_max": CUTOFF_ANG,
    "pair_cutoffs": None,
    "units": {"energy": "eV", "length": "Angstrom"},
    "training_data": {},
    "licence": "none",
    "citations": [],
    "weights_sha256": "none",
    "check_frame": {
        "symbols": [],
        "positions": [],
        "cell": None,
        "pbc": [False] * 3,
        "energy": 0.0,
        "forces": [],
        "energy_tolerance": 1e-9,
        "force_tolerance": 1e-9,
    },
}


def lennard_jones(atoms) -> float:
    """Return the energy in eV by a sum over all pairs within the cutoff, images included."""
    edges = find_edges(atoms.positions, atoms.cell.array, atoms.pbc, r_max=CUTOFF_ANG)
    x = (SIGMA_ANG / np.linalg.norm(edges.vector, axis=1)) ** 6
    return float(np.sum(4.0 * EPSILON_EV * (x**2 - x)) / 2.0)


def log_rows(path: Path) -> list[dict[str, float]]:
    """Return the rows of a log, by column name; none where there is no log."""
    if not path.exists():
        return []
    rows, columns = [], []
    for line in path.read_text().splitlines():
        words = line.split()
        if words[:1] == ["Step"]:
            columns = words
        elif line.startswith("Loop time"):
            columns = []
        elif columns and len(words) == len(columns) and words[0].isdigit():
            rows.append(dict(zip(columns, map(float, words), strict=True)))
    return rows


def use_lennard_jones(monkeypatch):
    """Use Lennard-Jones wherever a run would use the model, and start LAMMPS without plugins."""

    def lines(_model, _elements, **_options):
        return [
            f"pair_style      lj/cut {CUTOFF_ANG}",
            f"pair_coeff      * * {EPSILON_EV} {SIGMA_ANG}",
        ]

    def environment(threads, full=launch.environment):
        return {**full(threads), "LAMMPS_PLUGIN_PATH": ""}

    monkeypatch.setattr(inputs, "pair_lines", lines)
    monkeypatch.setattr(launch, "environment", environment)


@pytest.fixture
def lj(monkeypatch):
    use_lennard_jones(monkeypatch)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Return a directory with a model, an argon crystal and a molecule."""
    path = tmp_path_factory.mktemp("start")
    made_up(path / "model.egraff.pt", METADATA)
    ase.io.write(path / "argon.xyz", bulk("Ar", "fcc", a=5.3, cubic=True) * (3, 3, 3))
    ethanol = molecule("CH3CH2OH")
    ethanol.positions *= 3.0  # this far apart, Lennard-Jones of one size holds it together
    ase.io.write(path / "ethanol.xyz", ethanol)
    return path


@pytest.fixture(scope="session")
def settings(folder):
    """Return a function that makes settings of a short argon run."""

    def make(**values):
        defaults = {
            "model": folder / "model.egraff.pt",
            "structure": folder / "argon.xyz",
            "steps": 100,
            "timestep_fs": 4.0,
            "temperature": 40.0,
            "dump_every": 20,
            "thermo_every": 10,
            "restart_every": 40,
        }
        return make_settings({**defaults, **values})

    return make


@pytest.fixture(scope="session")
def one_finished(settings, tmp_path_factory):
    """Run 100 steps once."""
    directory = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_lennard_jones(monkeypatch)
        run_md(settings(), directory)
    return directory


@pytest.fixture
def finished(lj, one_finished, tmp_path):
    """Return a run of 100 steps that a test may change."""
    return Path(shutil.copytree(one_finished, tmp_path / "run"))


@pytest.fixture
def run_lj(lj, settings, tmp_path):
    """Return a function that runs Lennard-Jones and returns record, rows and directory."""

    def run(*, atoms=None, out="run", **values):
        if atoms is not None:
            ase.io.write(tmp_path / "start.traj", atoms)
            values["structure"] = tmp_path / "start.traj"
        directory = tmp_path / out
        record = run_md(settings(**values), directory)
        return record, log_rows(directory / "log.lammps"), directory

    return run
