# SPDX-License-Identifier: GPL-2.0-or-later
"""A directory with everything that a report can show, made without running anything."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import ase.io

from egraff.analysis.reference import read_reference
from egraff.analysis.runs import read_run
from tests.analysis.runs import analyse_run, atoms_moving, make_run, model


def make_study(root: Path) -> Path:
    """Two runs with a reference, one that failed, a training, evaluations, rank agreement."""
    reference_path = root / "reference.xyz"
    root.mkdir(parents=True)
    ase.io.write(reference_path, atoms_moving(99))
    reference = read_reference(reference_path)
    for name, seed in (("runs/first", 1), ("runs/second", 2)):
        run = make_run(root / name, seed=seed, ranks=seed)
        analyse_run(read_run(run), reference=reference, load_calculator=model)
    failed = make_run(
        root / "runs/<failed> & gone", seed=3, status="failed", error="ERROR: Lost atoms & more"
    )
    (failed / "dump.lammpstrj").unlink()
    analyse_run(read_run(failed))
    training = root / "training"
    training.mkdir()
    (training / "summary.json").write_text(
        json.dumps({"model": "nequip", "epochs": 3, "wall_time_s": 12.5, "config": {"r_max": 5.0}})
    )
    with (training / "metrics.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["epoch", "train_loss", "val_loss", "val_force_mae_mev_per_ang"])
        writer.writerows([(0, 1.0, 1.2, 500), (1, 0.3, "", 200), (2, 0.1, 0.2, 30)])
    for name, factor in (("eval_hot", 2.0), ("eval_test", 1.0)):
        values = {
            f"{trivial}{kind}_{statistic}": size * factor * scale
            for trivial, scale in (("", 1.0), ("trivial_", 20.0))
            for statistic in ("mae", "rmse")
            for kind, size in (("energy", 0.001), ("force", 0.03))
        }
        values = {
            f"{key}_ev_per_atom" if "energy" in key else f"{key}_ev_per_ang": value
            for key, value in values.items()
        }
        (training / f"{name}.json").write_text(json.dumps({**values, "n_frames": 100}))
    quantities = [
        {"name": "energy", "rank1": -8.25, "rank2": -8.25, "max_abs_difference": 0, "unit": "eV"},
        {"name": "forces", "max_abs_difference": 3.4e-13, "unit": "eV/Å"},
    ]
    (root / "ranks.json").write_text(json.dumps({"quantities": quantities}))
    return root
