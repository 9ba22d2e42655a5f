# SPDX-License-Identifier: GPL-2.0-or-later
"""A run whose frames carry the model's forces, and these frames as another method labels them."""

from __future__ import annotations

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from egraff.analysis.reference import read_reference
from tests.analysis.dumps import frame_text, log_text, write_run

CELL = np.diag([9.0, 8.0, 7.0])
STEPS = range(0, 60, 10)
RANDOM = np.random.default_rng(5)
POSITIONS = RANDOM.uniform(0, 7, (6, 4, 3))
FORCES = RANDOM.normal(size=(6, 4, 3))
ENERGIES = -5.0 + RANDOM.normal(size=6)


def rollout(directory, *, logged=6):
    texts = [
        frame_text(
            step, POSITIONS[i], CELL, extra=dict(zip(("fx", "fy", "fz"), FORCES[i].T, strict=True))
        )
        for i, step in enumerate(STEPS)
    ]
    rows = [(s, e) for s, e in zip(STEPS, ENERGIES, strict=True)][:logged]
    return write_run(directory, texts, log=log_text(("Step", "PotEng"), rows))


def labelled(path, *, factor=0.5, chosen=range(6), steps=False, change=None):
    """The rollout's frames with scaled forces and shifted energies, as another code gives them."""
    frames = []
    for i in chosen:
        atoms = Atoms("Ar4", positions=POSITIONS[i] + [9.0, -2.0, 0.3], cell=CELL, pbc=True)
        atoms.calc = SinglePointCalculator(
            atoms, energy=ENERGIES[i] + 0.4, forces=factor * FORCES[i]
        )
        if steps:
            atoms.info["step"] = 10 * i
        frames.append(atoms)
    if change:
        change(frames)
    ase.io.write(path, frames)
    return read_reference(path)
