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

SOUND = {
    "word": "sound",
    "reasons": [
        {
            "text": "The structure differs from the reference’s by no more than noise.",
            "weight": 1.0,
            "level": "sound",
            "metric": "wasserstein[total]",
            "value": 0.9,
            "threshold": 3.0,
            "source": "egraff's corpus of runs",
        }
    ],
}
UNSOUND = {
    "word": "unsound",
    "reasons": [
        {
            "text": "The structure is 52 times the noise floor from the reference’s.",
            "weight": 3.0,
            "level": "unsound",
            "metric": "wasserstein[total]",
            "value": 52.0,
            "threshold": 10.0,
            "source": "egraff's corpus of runs",
        },
        {
            "text": "The total energy drifts.",
            "weight": 1.0,
            "level": "unsound",
            "metric": "nve_drift",
            "value": 9.0,
            "threshold": 1.0,
            "source": "Bihani et al. 2024",
        },
        {
            "text": "The temperature is 12 K above that of the thermostat.",
            "weight": 0.5,
            "level": "look",
            "metric": "temperature",
            "value": 12.0,
            "threshold": 5.0,
            "source": "statistical error",
        },
        {
            "text": "It ran to its end.",
            "weight": 0.1,
            "level": "sound",
            "metric": "stability_time",
            "value": 1.18,
            "threshold": 1.18,
            "source": "run.json",
        },
    ],
}


def add_verdict(run: Path, verdict: dict) -> None:
    """Put a verdict into a run's result, and a noise that makes its structure that far off."""
    path = run / "analysis" / "result.json"
    content = json.loads(path.read_text())
    content["verdict"] = verdict
    (ratio,) = (r["value"] for r in verdict["reasons"] if r["metric"] == "wasserstein[total]")
    for metric in content["metrics"]:
        if metric["name"] == "wasserstein[total]":
            metric["noise"] = metric["value"] / ratio
    path.write_text(json.dumps(content))


def make_study(root: Path) -> Path:
    """Two runs with a reference, one that failed, a training, evaluations, rank agreement."""
    reference_path = root / "reference.xyz"
    root.mkdir(parents=True)
    ase.io.write(reference_path, atoms_moving(99))
    reference = read_reference(reference_path)
    for name, seed in (("runs/first", 1), ("runs/second", 2)):
        run = make_run(root / name, seed=seed, ranks=seed)
        analyse_run(read_run(run), reference=reference, load_calculator=model)
    add_verdict(root / "runs/first", SOUND)
    add_verdict(root / "runs/second", UNSOUND)
    failed = make_run(
        root / "runs/<failed> & gone", seed=3, status="failed", error="ERROR: Lost atoms & more"
    )
    (failed / "dump.lammpstrj").unlink()
    analyse_run(read_run(failed))
    training = root / "training"
    training.mkdir()
    (training / "summary.json").write_text(
        json.dumps({"epochs": 3, "wall_time_s": 12.5, "settings": {"ema_decay": 0.99}})
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
        if name == "eval_test":  # of a crystal, with the intervals that a set of frames gives
            stress = {"stress_mae_ev_per_ang3": 2e-4, "trivial_stress_mae_ev_per_ang3": 5e-3}
            values |= stress
            for error in ("energy_mae_ev_per_atom", "stress_mae_ev_per_ang3"):
                values[f"ci95_low_{error}"] = 0.8 * values[error]
                values[f"ci95_high_{error}"] = 1.2 * values[error]
        (training / f"{name}.json").write_text(json.dumps({**values, "n_frames": 100}))
    quantities = [
        {"name": "energy", "rank1": -8.25, "rank2": -8.25, "max_abs_difference": 0, "unit": "eV"},
        {"name": "forces", "max_abs_difference": 3.4e-13, "unit": "eV/Å"},
    ]
    (root / "ranks.json").write_text(json.dumps({"quantities": quantities}))
    return root
