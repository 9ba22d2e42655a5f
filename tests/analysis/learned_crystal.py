# SPDX-License-Identifier: GPL-2.0-or-later
"""A small crystal whose forces are those of a NequIP that was trained for a few epochs."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from egraff.export import export_torchscript
from egraff.lammps.run import run_md
from egraff.lammps.run_settings import make_settings
from egraff.names import BEST
from egraff.training.checkpoint import load_model
from egraff.training.config import check_config
from egraff.training.fit import fit
from tests.training.toy import TINY

TEMPERATURE_K, CUTOFF = 40.0, 5.0


def crystal() -> Atoms:
    """Argon with a quarter of neon, 32 atoms."""
    atoms = bulk("Ar", "fcc", a=5.2, cubic=True) * (2, 2, 2)
    atoms.numbers[np.random.default_rng(1).permutation(32)[:8]] = 10
    return atoms


def _labelled(number: int, seed: int) -> list[Atoms]:
    random = np.random.default_rng(seed)
    frames = []
    for _ in range(number):
        atoms = crystal()
        atoms.positions += random.normal(scale=random.uniform(0.05, 0.35), size=(32, 3))
        atoms.calc = LennardJones(sigma=3.3, epsilon=0.0104, rc=CUTOFF, ro=4.0, smooth=True)
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    return frames


def train(folder: Path) -> Path:
    """Train on 80 shaken crystals; return the exported model."""
    for name, number in (("train", 80), ("val", 10)):
        ase.io.write(folder / f"{name}.xyz", _labelled(number, len(name)))
    config = check_config(
        {
            "model": "nequip",
            "preset": None,
            "model_options": TINY,
            "data": str(folder / "train.xyz"),
            "val": str(folder / "val.xyz"),
            "r_max": CUTOFF,
            "epochs": 12,
            "batch_size": 4,
            "lr": 0.01,
            "warmup_steps": 10,
            "ema_decay": 0.9,
            "seed": 1,
            "device": "cpu",
            "threads": 1,
        }
    )
    fit(config, folder / "training")
    model = folder / "nequip.egraff.pt"
    best = load_model(folder / "training" / BEST)
    export_torchscript(best, model, structure=crystal(), fuse=None)
    return model


def simulate(model: Path, directory: Path, seed: int) -> Path:
    """24 ps in NVT with the default thermostat, as ``egraff run`` does it."""
    ase.io.write(directory.with_suffix(".xyz"), crystal())
    settings = make_settings(
        {
            "model": model,
            "structure": directory.with_suffix(".xyz"),
            "ensemble": "nvt",
            "temperature": TEMPERATURE_K,
            "steps": 6000,
            "equilibrate_steps": 1000,
            "timestep_fs": 4.0,
            "dump_every": 60,
            "thermo_every": 10,
            "seed": seed,
            "device": "cpu",
        }
    )
    run_md(settings, directory)
    return directory
