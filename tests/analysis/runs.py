# SPDX-License-Identifier: GPL-2.0-or-later
"""Run directories of known systems, and what their analysis gives."""

from __future__ import annotations

import json

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from egraff.analysis.context import AnalysisContext
from egraff.analysis.metric import Metric
from egraff.analysis.pipeline import RESULT, analyse
from tests.analysis.dumps import frame_text, log_text, write_run

LENGTH = 12.0
CELL = np.diag([LENGTH] * 3)
N_FRAMES = 60
SALT = bulk("NaCl", "rocksalt", a=5.64, cubic=True).repeat(2)
N_THERMAL = 30


def analyse_run(run, *, force=False, **context):
    """Analyse a run in the context of what is given; whether anything was computed."""
    return analyse(AnalysisContext(run, **context), force=force)


def result_of(run):
    content = json.loads((run / RESULT).read_text())
    return content, {entry["name"]: Metric.from_dict(entry) for entry in content["metrics"]}


def model(_path):
    return LennardJones(sigma=3.4, epsilon=0.0104, rc=5.9)


def atoms_moving(seed, n_frames=N_FRAMES):
    """Eight atoms that shake about the sites of a crystal, and what an LJ model says of them."""
    random = np.random.default_rng(seed)
    sites = np.array([[x, y, z] for x in (1, 7) for y in (1, 7) for z in (1, 7)], float)
    frames = []
    for index in range(n_frames):
        positions = (sites + random.normal(scale=0.3, size=sites.shape)) % LENGTH
        atoms = Atoms("Ar8", positions=positions, cell=CELL, pbc=True)
        atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=5.9)
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.info["time_fs"] = 20.0 * index
        frames.append(atoms)
    return frames


def make_run(directory, seed=1, **record):
    frames = atoms_moving(seed)
    velocities = np.random.default_rng(seed).normal(size=(N_FRAMES, 8, 3))
    texts = []
    for index, frame in enumerate(frames):
        extra = dict(zip(("vx", "vy", "vz"), velocities[index].T, strict=True))
        extra |= dict.fromkeys(("ix", "iy", "iz"), np.zeros(8, int))
        texts.append(frame_text(10 * index, frame.positions, CELL, extra=extra))
    noise = np.random.default_rng(seed).normal(size=(N_FRAMES, 4))
    rows = [
        (10 * i, 60 + 3 * a, -1 + 0.01 * b, 0.5 + 0.01 * c, -0.5 + 1e-4 * d)
        for i, (a, b, c, d) in enumerate(noise)
    ]
    log = log_text(("Step", "Temp", "PotEng", "KinEng", "TotEng"), rows)
    run = write_run(directory, texts, log=log, n_atoms=8, steps=590, **record)
    (run / "model.egraff.pt").write_text("a model")
    return run


def thermal(atoms, seed, scale=0.05):
    random = np.random.default_rng(seed)
    for _ in range(N_THERMAL):
        moved = atoms.copy()
        moved.positions += random.normal(scale=scale, size=moved.positions.shape)
        yield moved


def run_of(directory, frames, *, log=None, velocities=None, **record):
    frames = list(frames)
    pbc = bool(frames[0].pbc.all())
    texts = []
    for index, atoms in enumerate(frames):
        extra = {}
        if velocities is not None:
            extra = dict(zip(("vx", "vy", "vz"), velocities[index].T, strict=True))
        cell = np.array(atoms.cell) if pbc else np.diag([20.0] * 3)
        texts.append(
            frame_text(
                10 * index,
                atoms.positions,
                cell,
                elements=atoms.get_chemical_symbols(),
                boundary="pp pp pp" if pbc else "ss ss ss",
                extra=extra,
            )
        )
    elements = sorted(set(frames[0].get_chemical_symbols()))
    return write_run(
        directory,
        texts,
        log=log,
        n_atoms=len(frames[0]),
        elements=elements,
        pbc=[pbc] * 3,
        **record,
    )
