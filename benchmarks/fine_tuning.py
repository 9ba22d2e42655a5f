# SPDX-License-Identifier: GPL-2.0-or-later
"""Does a model that knows other molecules need fewer frames of a new one?

A NequIP (preset ``small``) is trained on three molecules of MD17, once, then fine-tuned with a few
frames of acetylacetone; the same network learns the same frames from random weights.
Both take the same epochs and stop nowhere; what differs is the start, the learning rate (each at
its default) and E0 (refitted, or by least squares). Errors are on frames of neither training nor
validation. Seeds choose the new frames, their order and the random weights.

    python benchmarks/fine_tuning.py SETS --out DIR

SETS is a folder with md17_aspirin, md17_ethanol, md17_naphthalene and acac in it, each with
train.xyz.gz; acac also with val.xyz.gz and test_300K.xyz.gz. A table is printed, DIR/figure.png is
drawn, DIR/errors.json holds the numbers. What is there already is not trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import ase.io
import numpy as np

from egraff.training.config import check_config
from egraff.training.evaluate import evaluate_file
from egraff.training.fit import fit

MOLECULES = ("md17_aspirin", "md17_ethanol", "md17_naphthalene")
METRICS = {
    "force_mae_ev_per_ang": "force MAE (meV/A)",
    "energy_mae_ev_per_atom": "energy MAE (meV/atom)",
}
KINDS = ("from scratch", "fine-tuned")


def main() -> None:
    """Train, evaluate, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=50, help="of the new molecule")
    parser.add_argument("--epochs", type=int, default=40, help="on the new molecule")
    parser.add_argument("--old-frames", type=int, default=200, help="of each of the others")
    parser.add_argument("--old-epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.01, help="of the fine-tuning")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    test = given.out / "test.xyz"
    some(given.sets / "acac" / "test_300K.xyz.gz", 200, 0, test)
    val = given.out / "val.xyz"
    some(given.sets / "acac" / "val.xyz.gz", 20, 0, val)

    started = time.process_time()
    old = given.out / "old.xyz"
    parts = [given.sets / name / "train.xyz.gz" for name in MOLECULES]
    images = [image for part in parts for image in drawn(part, given.old_frames, 0)]
    ase.io.write(old, images, format="extxyz")
    base = trained(given.out / "pretrained", data=old, model="nequip", epochs=given.old_epochs)
    errors: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for seed in range(given.seeds):
        new = given.out / f"new-{seed}.xyz"
        some(given.sets / "acac" / "train.xyz.gz", given.frames, seed, new)
        common = {"data": new, "val": val, "epochs": given.epochs, "seed": seed}
        starts = {
            "from scratch": {"model": "nequip"},
            "fine-tuned": {"from_model": base, "reference_energies": "refit", "lr": given.lr},
        }
        for kind, start in starts.items():
            path = trained(given.out / f"{kind.replace(' ', '-')}-{seed}", **common, **start)
            errors[kind].append(evaluate_file(path, test).model)
    print(f"{time.process_time() - started:.0f} s of CPU\n")
    (given.out / "errors.json").write_text(json.dumps(errors, indent=1))
    show(errors, given)
    draw(errors, given.out / "figure.png")


def trained(out: Path, **settings) -> Path:
    """Return the best checkpoint of a training, which is made if it is not there."""
    best = out / "best.ckpt"
    summary = out / "summary.json"
    if not (summary.is_file() and json.loads(summary.read_text())["status"] == "completed"):
        config = check_config({**settings, "device": "cpu", "threads": 1})
        fit(config, out, overwrite=True)
    return best


def drawn(path: Path, number: int, seed: int) -> list:
    """Return frames of a file, chosen at random."""
    images = ase.io.read(path, ":")
    chosen = np.random.default_rng(seed).choice(len(images), number, replace=False)
    return [images[index] for index in sorted(chosen)]


def some(path: Path, number: int, seed: int, out: Path) -> None:
    """Write frames of a file, chosen at random, to another."""
    ase.io.write(out, drawn(path, number, seed), format="extxyz")


def show(errors: dict[str, list[dict[str, float]]], given: argparse.Namespace) -> None:
    """Print means over seeds, and their standard errors."""
    print(f"{given.frames} frames, {given.seeds} seeds: mean +- standard error; each seed")
    for name, label in METRICS.items():
        for kind in KINDS:
            values = 1000 * np.array([one[name] for one in errors[kind]])
            each = " ".join(f"{value:.2f}" for value in values)
            print(f"{label:24} {kind:14} {values.mean():8.2f} +- {spread(values):.2f}  ({each})")
        scratch, tuned = (np.array([one[name] for one in errors[kind]]) for kind in KINDS)
        ratio = scratch / tuned
        print(f"{label:24} {'ratio':14} {ratio.mean():8.2f} +- {spread(ratio):.2f}")


def spread(values: np.ndarray) -> float:
    """Return the standard error of a mean; NaN for one value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def draw(errors: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Draw the means with their standard errors, and every seed as a point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(METRICS), figsize=(7, 3), layout="constrained")
    for axis, (name, label) in zip(axes, METRICS.items(), strict=True):
        for place, kind in enumerate(KINDS):
            values = 1000 * np.array([one[name] for one in errors[kind]])
            axis.bar(
                place, values.mean(), yerr=spread(values), width=0.6, capsize=6, color=f"C{place}"
            )
            axis.plot([place] * len(values), values, "k.", alpha=0.6)
        axis.set_xticks(range(len(KINDS)), KINDS)
        axis.set_ylabel(label)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
