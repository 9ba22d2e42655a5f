# SPDX-License-Identifier: GPL-2.0-or-later
"""Small labelled sets from ASE's effective-medium theory: clusters and crystals of Al and Cu."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from egraff.training.config import check_config

# a network that trains in seconds
TINY = {
    "n_layers": 2,
    "l_max": 1,
    "parity": False,
    "n_features": [8, 4],
    "n_bessel": 6,
    "radial_width": 16,
}


def label(atoms: Atoms) -> Atoms:
    """Return a copy with the energy, forces and (if periodic) stress of EMT."""
    atoms = atoms.copy()
    work = atoms.copy()
    work.calc = EMT()
    labels = {"energy": work.get_potential_energy(), "forces": work.get_forces()}
    if atoms.pbc.all():
        labels["stress"] = work.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def crystal(rng: np.random.Generator) -> Atoms:
    """Return a distorted fcc cell of four atoms, one of them aluminium."""
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.symbols[0] = "Al"
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(scale=0.02, size=(3, 3))), True)
    atoms.positions += rng.normal(scale=0.12, size=(4, 3))
    return label(atoms)


def cluster(rng: np.random.Generator, n_atoms: int) -> Atoms:
    """Return a compact cluster without a cell."""
    sites = np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)], float)
    positions = 2.6 * sites[:n_atoms] + rng.normal(scale=0.12, size=(n_atoms, 3))
    return label(Atoms("Al" + "Cu" * (n_atoms - 1), positions=positions))


def frames(seed: int, n_frames: int) -> list[Atoms]:
    """Return a mixture of crystals and clusters of three to five atoms."""
    rng = np.random.default_rng(seed)
    return [
        crystal(rng) if number % 2 == 0 else cluster(rng, 3 + (number // 2) % 3)
        for number in range(n_frames)
    ]


def write(path: Path, images: list[Atoms]) -> Path:
    """Write extended XYZ."""
    ase.io.write(path, images, format="extxyz")
    return path


def settings(folder: Path, **changes):
    """Return checked settings for the files ``train.xyz`` and ``val.xyz`` in a folder."""
    content = {
        "model": "nequip",
        "preset": None,
        "model_options": TINY,
        "data": str(folder / "train.xyz"),
        "val": str(folder / "val.xyz"),
        "r_max": 4.0,
        "epochs": 3,
        # in a few hundred steps from far away, squares get further than Huber's function
        "loss": "mse",
        "batch_size": 4,
        "lr": 0.02,
        "warmup_steps": 5,
        "ema_decay": 0.9,
        "energy_weight": 10.0,
        "stress_weight": 10.0,
        "seed": 1,
        "device": "cpu",
        "threads": 1,
    }
    return check_config({**content, **changes})
