# SPDX-License-Identifier: GPL-2.0-or-later
"""A tiny campaign: two models, a molecule and a crystal, frames and runs as few as can be."""

from __future__ import annotations

from pathlib import Path

import yaml

from egraff.data import embedded
from egraff.data.join import write_joined

STAGES = {"nvt": {"length_ps": 0.02, "equilibrate_ps": 0.0, "dump_every_fs": 2.0}, "nve": None}


def write_data(folder: Path) -> None:
    """Write some frames of the embedded sets."""
    for name in ("molecule", "crystal"):
        for split, frames in (("train", 12), ("val", 4), ("test", 6)):
            target = folder / name / f"{split}.xyz"
            write_joined(target, [embedded(name, split)], frames_per_file=frames)
        target = folder / name / "isolated_atoms.xyz"
        write_joined(target, [embedded(name, "isolated_atoms")])


def plan() -> dict:
    """Return the plan; callers change what they like."""
    return {
        "name": "toy",
        "data_root": "data",
        "protocol": {"base": "egraff-1", "starts": 1, "stages": STAGES},
        "seeds": [1, 2],
        "training": {"epochs": 1, "batch_size": 4, "threads": 1},
        "models": {
            "nequip": {"training": {"model_options": {"n_features": 2, "l_max": 1}}},
            "torchmd_net": {"training": {"r_max": 3.5}},
        },
        "sets": {
            "molecule": {
                "train": "molecule/train.xyz",
                "val": "molecule/val.xyz",
                "tests": {
                    "same": {
                        "data": "molecule/test.xyz",
                        "simulate": {"temperature": 300, "timestep_fs": 0.5},
                    }
                },
            },
            "crystal": {
                "train": {"files": ["crystal/train.xyz"], "frames": 10},
                "training": {"r_max": 3.0},
                "tests": {"same": {"data": "crystal/test.xyz"}},
            },
        },
    }


def write_plan(path: Path, content: dict) -> Path:
    """Write a plan as YAML."""
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path
