# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff eval``: errors of a model on labelled frames, beside the trivial predictor's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from egraff.cli.labels import with_label_options
from egraff.cli.types import Device, Dtype, writable


@with_label_options
def evaluate(
    model: Annotated[
        Path, typer.Argument(help="Checkpoint, or exported model.", metavar="MODEL_OR_CKPT")
    ],
    data: Annotated[Path, typer.Argument(help="Labelled frames, any file ASE reads.")],
    json: Annotated[
        Path | None,
        typer.Option("--json", help="Write the numbers to this file as JSON.", callback=writable),
    ] = None,
    dtype: Annotated[
        Dtype | None, typer.Option(help="Evaluate a checkpoint in this type; default: as trained.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Device.")] = Device.cpu,
    *,
    label_options: Mapping[str, str],
) -> None:
    """Compare a model with labelled frames: MAE and RMSE of energy, forces and stress.

    The trivial predictor only counts atoms for the energy, and says zero for forces and stress.
    Energies also have a bias, the mean error, and a spread, what is left without it: of unknown
    compositions the bias is mostly that of the elements' reference energies. Intervals (95 %) come
    from resampling blocks of successive frames that are long enough to be independent. Isolated
    atoms are compared apart: whatever a model has learnt, it gives them E0.
    """
    from rich.console import Console

    from egraff.data.labels import label_keys
    from egraff.training.evaluate import evaluate_file, write_evaluation
    from egraff.training.machine import pick_device
    from egraff.training.tables import evaluation_table

    evaluation = evaluate_file(
        model,
        data,
        keys=label_keys(label_options),
        dtype=dtype.value if dtype else None,
        device=pick_device(device.value),
    )
    console = Console(highlight=False, soft_wrap=True)
    for remark in evaluation.remarks:
        console.print(f"note: {remark}", markup=False, style="yellow")
    title = f"{model} on {data}: {evaluation.n_frames} frames, {evaluation.n_atoms} atoms"
    if evaluation.n_frames:
        console.print(evaluation_table(evaluation, title=title))
    if evaluation.energy_correlation is not None:
        correlation = evaluation.energy_correlation
        console.print(f"correlation of energies per atom: {correlation:.4f}", markup=False)
    if evaluation.block_frames > 1:
        console.print(
            f"errors of successive frames are correlated: intervals are from blocks of "
            f"{evaluation.block_frames} frames",
            markup=False,
        )
    for element, difference in evaluation.isolated.items():
        console.print(
            f"isolated atom {element}: E0 of the model less the label {difference:.6g} eV",
            markup=False,
        )
    if evaluation.baseline_source == "evaluated frames":
        console.print(
            "The trivial predictor was fitted to these frames: the model does not know its own.",
            style="dim",
        )
    if json is not None:
        write_evaluation(json, evaluation)
