# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff eval``: errors of a model on labelled frames, beside the trivial predictor's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egraff.cli.types import Device, Dtype, writable


def evaluate(
    model: Annotated[
        Path, typer.Argument(help="Checkpoint, or exported model.", metavar="MODEL_OR_CKPT")
    ],
    data: Annotated[Path, typer.Argument(help="Labelled frames, any file ASE reads.")],
    json: Annotated[
        Path | None,
        typer.Option("--json", help="Write the numbers to this file as JSON.", callback=writable),
    ] = None,
    energy_key: Annotated[str, typer.Option(help="Name of the energy in DATA.")] = "energy",
    forces_key: Annotated[str, typer.Option(help="Name of the forces in DATA.")] = "forces",
    stress_key: Annotated[str, typer.Option(help="Name of the stress in DATA.")] = "stress",
    dtype: Annotated[
        Dtype | None, typer.Option(help="Evaluate a checkpoint in this type; default: as trained.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Device.")] = Device.cpu,
) -> None:
    """Compare a model with labelled frames: MAE and RMSE of energy, forces and stress.

    The trivial predictor only counts atoms for the energy, and says zero for forces and stress.
    Intervals (95 %) come from resampling the frames as if they were independent.
    """
    from rich.console import Console

    from egraff.training.evaluate import evaluate_file, write_evaluation
    from egraff.training.machine import pick_device
    from egraff.training.tables import evaluation_table

    evaluation = evaluate_file(
        model,
        data,
        energy_key=energy_key,
        forces_key=forces_key,
        stress_key=stress_key,
        dtype=dtype.value if dtype else None,
        device=pick_device(device.value),
    )
    console = Console(highlight=False, soft_wrap=True)
    title = f"{model} on {data}: {evaluation.n_frames} frames, {evaluation.n_atoms} atoms"
    console.print(evaluation_table(evaluation, title=title))
    if evaluation.baseline_source != "training set":
        console.print(
            "The trivial predictor was fitted to these frames: the model does not know its own.",
            style="dim",
        )
    if json is not None:
        write_evaluation(json, evaluation)
