# SPDX-License-Identifier: GPL-2.0-or-later
"""NequIP and Allegro of the comparison, compiled by nequip's own ``nequip-compile``.

nequip compiles only what was trained: an epoch on a few frames of Lennard-Jones silicon gives it a
checkpoint. It compiles for one thread, for that is its faster build: with two, Allegro's takes
twice as long.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arguments import timing

SHARED = {
    "seed": 1,
    "model_dtype": "float32",
    "type_names": ["Si"],
    "r_max": timing.R_MAX,
    "avg_num_neighbors": timing.NEIGHBOURS,
    "per_type_energy_scales": 1.0,
    "per_type_energy_shifts": 0.0,
}


def prepare(folder: Path, model: dict[str, Any]) -> None:
    """Write ``folder/compiled.nequip.pt2`` unless it is there."""
    from ase.calculators.lj import LennardJones
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    compiled = folder / "compiled.nequip.pt2"
    if compiled.exists():
        return
    frames = []
    for _ in range(8):
        frame = timing.silicon(64)
        frame.calc = LennardJones(sigma=2.1, epsilon=0.5, rc=timing.R_MAX, smooth=True)
        energy, forces = frame.get_potential_energy(), frame.get_forces()
        frame.calc = SinglePointCalculator(frame, energy=energy, forces=forces)
        frames.append(frame)
    write(folder / "frames.xyz", frames)
    (folder / "train.yaml").write_text(json.dumps(training(folder, {**SHARED, **model})))
    programs = Path(sys.executable).parent
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def call(*words: str) -> None:
        subprocess.run(
            [str(programs / words[0]), *words[1:]], cwd=folder, env=environment, check=True
        )

    call("nequip-train", "-cp", str(folder), "-cn", "train", f"hydra.run.dir={folder}")
    start = time.perf_counter()
    options = ("--mode", "aotinductor", "--device", "cpu", "--target", "ase")
    call("nequip-compile", str(folder / "last.ckpt"), str(compiled), *options)
    print(f"compiled in {time.perf_counter() - start:.0f} s")


def training(folder: Path, model: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of ``nequip-train``."""
    transforms = "nequip.data.transforms"
    metrics = {
        "_target_": "nequip.train.EnergyForceMetrics",
        "coeffs": {"total_energy_mae": 1.0, "forces_mae": 1.0},
    }
    return {
        "run": ["train"],
        "data": {
            "_target_": "nequip.data.datamodule.ASEDataModule",
            "seed": 1,
            "split_dataset": {"file_path": str(folder / "frames.xyz"), "train": 4, "val": 4},
            "transforms": [
                {
                    "_target_": f"{transforms}.ChemicalSpeciesToAtomTypeMapper",
                    "model_type_names": ["Si"],
                },
                {"_target_": f"{transforms}.NeighborListTransform", "r_max": timing.R_MAX},
            ],
            "train_dataloader": {"_target_": "torch.utils.data.DataLoader", "batch_size": 4},
            "val_dataloader": {"_target_": "torch.utils.data.DataLoader", "batch_size": 4},
        },
        "trainer": {
            "_target_": "lightning.Trainer",
            "accelerator": "cpu",
            "max_epochs": 1,
            "logger": False,
            "enable_progress_bar": False,
            "callbacks": [
                {
                    "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
                    "dirpath": str(folder),
                    "filename": "best",
                    "save_last": True,
                }
            ],
        },
        "training_module": {
            "_target_": "nequip.train.EMALightningModule",
            "loss": {
                "_target_": "nequip.train.EnergyForceLoss",
                "per_atom_energy": True,
                "coeffs": {"total_energy": 1.0, "forces": 1.0},
            },
            "val_metrics": metrics,
            "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.001},
            "model": model,
        },
    }


def make_step(atoms, threads: int, folder: Path) -> Callable[[], object]:
    """Return the compiled model's evaluation with a fixed list of edges."""
    import torch
    from nequip.data import from_ase
    from nequip.integrations.ase import NequIPCalculator

    torch.set_num_threads(threads)
    calculator = NequIPCalculator.from_compiled_model(
        str(folder / "compiled.nequip.pt2"), device="cpu", chemical_symbols=["Si"]
    )
    data = from_ase(atoms)
    for transform in calculator.transforms:
        data = transform(data)
    return lambda: calculator.call_model(dict(data))
