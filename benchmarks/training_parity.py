# SPDX-License-Identifier: GPL-2.0-or-later
"""MACE and NequIP on acetylacetone: egraff's trainer beside the originals' own.

    python benchmarks/training_parity.py DATA

``DATA`` holds ``train``, ``val`` and ``test_300K`` as ``.xyz.gz`` or ``.xyz``, and the energies of
the isolated atoms: the set AcAc of Batatia et al., arXiv:2205.06643, in eV and Angstrom. All four
trainings see the same frames with the same shapes of network, reference energies, energy scale,
mean number of neighbours, loss, optimiser, running average of weights and number of epochs; random
are the initial weights and the order of the frames. Everything runs in float32 on one thread. Each
trainer picks its own best epoch by the validation frames.

The originals run in environments of their own, from the pins of ``tests/parity``; they are made
unless ``--mace-python`` and ``--nequip-python`` name the Python of existing ones.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

R_MAX = 4.0
BATCH = 5
LR = 0.01
EMA = 0.99
FORCE_WEIGHT = 10.0
# mace_run_train always clips; nequip-train does so only when told
MACE_CLIP = 10.0

MACE = {
    "hidden_irreps": "16x0e + 16x1o",
    "l_max": 2,
    "correlation": 3,
    "n_layers": 2,
    "n_radial": 8,
    "cutoff_p": 5.0,
    "radial_widths": [32, 32],
}
NEQUIP = {
    "n_layers": 3,
    "l_max": 1,
    "parity": False,
    "n_features": [16, 16],
    "n_bessel": 8,
    "cutoff_p": 6.0,
    "radial_depth": 1,
    "radial_width": 32,
}


@dataclass(frozen=True)
class Task:
    """What all trainings have in common.

    Attributes:
        train, val, test: extended XYZ files.
        elements: chemical symbols, by atomic number.
        e0: energy of each element's isolated atom, in eV.
        scale: root mean square of the training forces in eV/A, read as eV.
        neighbours: mean number of neighbours in the training frames.
        epochs: passes over the training frames.
        seed: of weights and order.
    """

    train: Path
    val: Path
    test: Path
    elements: list[str]
    e0: dict[str, float]
    scale: float
    neighbours: float
    epochs: int
    seed: int


def prepare(options: argparse.Namespace, folder: Path) -> Task:
    """Write the frames that are used, and measure what every trainer is told."""
    from ase.data import atomic_numbers
    from ase.io import read, write

    from egraff.data import read_frames, reference_energies_from_atoms
    from egraff.training.config import TrainConfig
    from egraff.training.dataset import frame_graph
    from egraff.training.statistics import energy_scale, mean_neighbours

    files = {}
    for role, name, n_frames in (
        ("train", "train", options.train_frames),
        ("val", "val", options.val_frames),
        ("test", "test_300K", options.test_frames),
    ):
        frames = read(find(options.data, name), index=f":{n_frames}")
        if len(frames) < n_frames:
            sys.exit(f"--{role}-frames: expected at most {len(frames)}, got {n_frames}")
        files[role] = folder / f"{role}.xyz"
        write(files[role], frames)
    train = read_frames(files["train"])
    elements = sorted({s for frame in train for s in frame.symbols}, key=atomic_numbers.get)
    graphs = [frame_graph(frame, elements=elements, r_max=R_MAX) for frame in train]
    settings = TrainConfig(data=files["train"], model="mace")
    return Task(
        **files,
        elements=elements,
        e0=reference_energies_from_atoms(find(options.data, "isolated_atoms"), elements=elements),
        scale=energy_scale(settings, train, elements)[0],
        neighbours=mean_neighbours(graphs),
        epochs=options.epochs,
        seed=options.seed,
    )


def find(folder: Path, name: str) -> Path:
    """Return a file of frames, compressed or not."""
    for suffix in (".xyz.gz", ".xyz"):
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    sys.exit(f"{folder}: expected {name}.xyz.gz or {name}.xyz; give the folder of the set AcAc")


def egraff(name: str, task: Task, folder: Path) -> float:
    """Train with egraff and return the force MAE of the best epoch's weights."""
    settings = {
        "data": str(task.train),
        "val": str(task.val),
        "model": name,
        "preset": None,
        "model_options": MACE if name == "mace" else NEQUIP,
        "r_max": R_MAX,
        "reference_energies": task.e0,
        "energy_scale": task.scale,
        "avg_num_neighbours": task.neighbours,
        "loss": "mse",
        "energy_weight": 1.0,
        "force_weight": FORCE_WEIGHT,
        "amsgrad": True,
        "lr": LR,
        "warmup_steps": 0,
        "schedule": "constant",
        "batch_size": BATCH,
        "epochs": task.epochs,
        "ema_decay": EMA,
        "clip_grad_norm": MACE_CLIP if name == "mace" else None,
        "seed": task.seed,
        "device": "cpu",
        "threads": 1,
    }
    config, out, result = folder / "config.json", folder / "out", folder / "test.json"
    config.write_text(json.dumps(settings))  # JSON is YAML
    command = [sys.executable, "-m", "egraff"]
    call([*command, "train", "--config", config, "--out", out], folder)
    call([*command, "eval", out / "best.ckpt", task.test, "--json", result], folder)
    return float(json.loads(result.read_text())["force_mae_ev_per_ang"])


def mace(python: Path, task: Task, folder: Path) -> float:
    """Train with ``mace_run_train`` and return the force MAE that its model has."""
    import numpy as np
    from ase.data import atomic_numbers
    from ase.io import read

    e0 = {atomic_numbers[element]: energy for element, energy in task.e0.items()}
    arguments = {
        "name": "acac",
        "model": "MACE",
        "train_file": task.train,
        "valid_file": task.val,
        "energy_key": "energy",
        "forces_key": "forces",
        "E0s": e0,
        "scaling": "rms_forces_scaling",
        "compute_avg_num_neighbors": False,
        "avg_num_neighbors": task.neighbours,
        "r_max": R_MAX,
        "hidden_irreps": MACE["hidden_irreps"],
        "max_ell": MACE["l_max"],
        "correlation": MACE["correlation"],
        "num_interactions": MACE["n_layers"],
        "num_radial_basis": MACE["n_radial"],
        "num_cutoff_basis": int(MACE["cutoff_p"]),
        "radial_MLP": MACE["radial_widths"],
        "MLP_irreps": "16x0e",
        "loss": "weighted",
        "energy_weight": 1.0,
        "forces_weight": FORCE_WEIGHT,
        "lr": LR,
        "weight_decay": 0.0,
        # as good as constant
        "scheduler_patience": 1000000,
        "clip_grad": MACE_CLIP,
        "ema_decay": EMA,
        "batch_size": BATCH,
        "max_num_epochs": task.epochs,
        "default_dtype": "float32",
        "device": "cpu",
        "seed": task.seed,
        "plot": False,
        "work_dir": folder,
    }
    flags = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    call([python, python.parent / "mace_run_train", *flags, "--ema"], folder)
    predicted = folder / "predicted.xyz"
    files = {"configs": task.test, "model": folder / "acac.model", "output": predicted}
    call(
        [python, python.parent / "mace_eval_configs", "--default_dtype", "float32"]
        + [word for name, value in files.items() for word in (f"--{name}", value)],
        folder,
    )
    errors = [
        found.arrays["MACE_forces"] - frame.get_forces()
        for found, frame in zip(read(predicted, ":"), read(task.test, ":"), strict=True)
    ]
    return float(np.abs(np.concatenate(errors)).mean())


def nequip(python: Path, task: Task, folder: Path) -> float:
    """Train with ``nequip-train`` and return the force MAE that its test run prints."""
    loader = {"_target_": "torch.utils.data.DataLoader", "batch_size": BATCH}
    metrics = {
        "_target_": "nequip.train.EnergyForceMetrics",
        "coeffs": {"per_atom_energy_rmse": 1.0, "forces_rmse": FORCE_WEIGHT**0.5},
    }
    monitor = {"monitor": "val0_epoch/weighted_sum", "dirpath": str(folder), "filename": "best"}
    config = {
        "run": ["train", "test"],
        "data": {
            "_target_": "nequip.data.datamodule.ASEDataModule",
            "seed": task.seed,
            "train_file_path": str(task.train),
            "val_file_path": str(task.val),
            "test_file_path": str(task.test),
            "transforms": [
                {"_target_": "nequip.data.transforms.NeighborListTransform", "r_max": R_MAX},
                {
                    "_target_": "nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper",
                    "model_type_names": task.elements,
                },
            ],
            "train_dataloader": {**loader, "shuffle": True},
            "val_dataloader": loader,
            "test_dataloader": loader,
        },
        "trainer": {
            "_target_": "lightning.Trainer",
            "accelerator": "cpu",
            "max_epochs": task.epochs,
            "enable_progress_bar": False,
            "logger": {
                "_target_": "lightning.pytorch.loggers.CSVLogger",
                "save_dir": str(folder),
                "name": "log",
                "version": 0,
            },
            "callbacks": [{"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", **monitor}],
        },
        "training_module": {
            "_target_": "nequip.train.EMALightningModule",
            "ema_decay": EMA,
            "loss": {
                "_target_": "nequip.train.EnergyForceLoss",
                "per_atom_energy": True,
                "coeffs": {"total_energy": 1.0, "forces": FORCE_WEIGHT},
            },
            "val_metrics": metrics,
            "test_metrics": metrics,
            "optimizer": {"_target_": "torch.optim.Adam", "lr": LR, "amsgrad": True},
            "model": {
                "_target_": "nequip.model.NequIPGNNModel",
                "seed": task.seed,
                "model_dtype": "float32",
                "type_names": task.elements,
                "r_max": R_MAX,
                "num_layers": NEQUIP["n_layers"],
                "l_max": NEQUIP["l_max"],
                "parity": NEQUIP["parity"],
                "num_features": NEQUIP["n_features"],
                "num_bessels": NEQUIP["n_bessel"],
                "polynomial_cutoff_p": NEQUIP["cutoff_p"],
                "radial_mlp_depth": NEQUIP["radial_depth"],
                "radial_mlp_width": NEQUIP["radial_width"],
                "avg_num_neighbors": task.neighbours,
                "per_type_energy_scales": task.scale,
                "per_type_energy_shifts": task.e0,
            },
        },
    }
    (folder / "acac.yaml").write_text(json.dumps(config))  # JSON is YAML
    program = [python, python.parent / "nequip-train", "-cp", folder, "-cn", "acac"]
    call([*program, f"hydra.run.dir={folder}"], folder)
    with open(folder / "log" / "version_0" / "metrics.csv", newline="") as file:
        values = [row["test0_epoch/forces_mae"] for row in csv.DictReader(file)]
    return float(next(value for value in reversed(values) if value))


def call(command: Sequence[Any], folder: Path) -> None:
    """Run a program on one thread; what it prints is shown only if it fails."""
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, **threads},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout[-4000:]}\n{' '.join(map(str, command[:3]))}: {done.returncode}")


def original_python(name: str, given: Path | None) -> Path:
    """Return the Python of an original's environment, which is made when missing."""
    if given is not None:
        # not resolved: a virtual environment is found by the link's own place
        return given.absolute()
    script = runpy.run_path(str(ROOT / "tests" / "parity" / name / "generate.py"))
    generation = script["generation"]
    return generation.environment(
        generation.default_venv(name), script["PINS"], script.get("WITHOUT_REQUIREMENTS", ())
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the set")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--train-frames", type=int, default=200)
    parser.add_argument("--val-frames", type=int, default=50)
    parser.add_argument("--test-frames", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mace-python", type=Path, help="Python with mace-torch 0.3.16")
    parser.add_argument("--nequip-python", type=Path, help="Python with nequip 0.19.1")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    pythons = {
        "mace": original_python("mace", options.mace_python),
        "nequip": original_python("nequip", options.nequip_python),
    }
    with tempfile.TemporaryDirectory() as temporary:
        task = prepare(options, Path(temporary))
        runs: dict[tuple[str, str], Callable[[Path], float]] = {
            ("MACE", "egraff"): lambda folder: egraff("mace", task, folder),
            ("MACE", "mace_run_train"): lambda folder: mace(pythons["mace"], task, folder),
            ("NequIP", "egraff"): lambda folder: egraff("nequip", task, folder),
            ("NequIP", "nequip-train"): lambda folder: nequip(pythons["nequip"], task, folder),
        }
        print(
            f"{options.train_frames} training, {options.val_frames} validation and "
            f"{options.test_frames} test frames, {options.epochs} epochs, seed {options.seed}\n\n"
            "| model | trainer | force MAE, meV/A | CPU time, s |\n|---|---|---|---|",
            flush=True,
        )
        for number, ((model, trainer), run) in enumerate(runs.items()):
            folder = Path(temporary) / str(number)
            folder.mkdir()
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            error = run(folder)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"| {model} | {trainer} | {1000 * error:.1f} | {cpu:.0f} |", flush=True)


if __name__ == "__main__":
    main()
