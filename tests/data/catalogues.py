# SPDX-License-Identifier: GPL-2.0-or-later
"""A catalogue of one small made-up set, in the place of the package's."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import yaml
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from egraff.data import read_frames
from egraff.data.catalogue import load, split_digest, tasks
from egraff.data.digest import frames_digest

CLEARED = (load.catalogue, load.repositories, tasks.task_splits)


def water(seed: int) -> Atoms:
    """Return a labelled molecule; the labels are numbers, no more."""
    rng = np.random.default_rng(seed)
    atoms = Atoms("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    atoms.positions += 0.02 * rng.normal(size=(3, 3))
    forces = rng.normal(size=(3, 3))
    energy = -2080.0 + rng.normal(scale=0.1)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces - forces.mean(0))
    return atoms


def write_water(path: Path, seeds: range) -> str:
    """Write labelled molecules; return their digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ase.io.write(path, [water(seed) for seed in seeds], format="extxyz")
    return frames_digest(read_frames(path))


def install(monkeypatch, folder: Path, *, tasks_yaml: dict | None = None) -> dict[str, str]:
    """Write data of one set to ``folder``/data and have it in the catalogue; return digests."""
    parts = {"train": range(0, 6), "val": range(6, 8), "test": range(8, 12), "hot": range(20, 23)}
    digests = {
        part: write_water(folder / "data" / "water" / f"{part}.xyz", seeds)
        for part, seeds in parts.items()
    }
    entry = {
        "title": "Water",
        "status": "identified",
        "system": "one molecule",
        "formulas": ["H2O"],
        "atoms": [3, 3],
        "temperature": "300",
        "periodic": False,
        "cell": "none",
        "method": "none",
        "units": "eV and Angstrom",
        "published": {"train": 6, "val": None},
        "repositories": ["egraffbench"],
        "licence": "CC0",
        "defects": ["made up"],
        "not_at_hand": ["the ice"],
        "files": {
            f"water/{part}.xyz.gz": {
                "content": part,
                "frames": len(parts[part]),
                "digest": digest,
                "sources": [{"repository": "egraffbench", "path": f"water/{part}.xyz"}],
            }
            for part, digest in digests.items()
        }
        | {"water/ice.xyz.gz": {"content": "ice", "unverified": "never seen"}},
    }
    catalogue = folder / "catalogue"
    (catalogue / "sets").mkdir(parents=True)
    (catalogue / "sets" / "water.yaml").write_text(yaml.safe_dump(entry), encoding="utf-8")
    repositories = (load.folder() / "repositories.yaml").read_text(encoding="utf-8")
    (catalogue / "repositories.yaml").write_text(repositories, encoding="utf-8")
    content = tasks_yaml or {
        "water-hot": {
            "kind": "unseen_temperature",
            "about": "heated",
            "train": ["water/train.xyz.gz"],
            "val": ["water/val.xyz.gz"],
            "tests": {
                "cold": {"file": "water/test.xyz.gz", "temperature_K": 300},
                "hot": {"file": "water/hot.xyz.gz", "shifted": True, "temperature_K": 600},
            },
        }
    }
    for function in CLEARED:
        function.cache_clear()
    for module in (load, tasks):
        monkeypatch.setattr(module, "folder", lambda: catalogue)
    for values in content.values():
        values["digest"] = split_digest(tasks.TaskSplit(**values, digest="0" * 64))
    (catalogue / "tasks.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return digests
