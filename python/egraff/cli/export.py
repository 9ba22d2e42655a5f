# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff export``: from a training checkpoint to the file that LAMMPS loads."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """Formats an exported model can have."""

    torchscript = "torchscript"
    aoti = "aoti"


class Dtype(StrEnum):
    """Floating-point types of an exported model."""

    float32 = "float32"
    float64 = "float64"


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint from `egraff train`.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write, NAME.egraff.pt.")],
    file_format: Annotated[
        Format, typer.Option("--format", help="Format; only torchscript can be written so far.")
    ] = Format.torchscript,
    dtype: Annotated[
        Dtype | None, typer.Option(help="Type of the exported network; default: as trained.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Terms of use of the weights, kept in the file.")
    ] = None,
    fuse: Annotated[
        bool | None,
        typer.Option(
            "--fuse/--no-fuse",
            help="Use fused operators, which are many times faster on the CPU and do not run on a "
            "GPU; default: where there are any for the model.",
        ),
    ] = None,
) -> None:
    """Write a trained model as one self-describing file.

    The file is compared with the checkpoint's model on three frames before it gets its name.
    """
    from egraff.errors import InputError

    if file_format is Format.aoti:
        raise InputError(
            "expected torchscript, got aoti: this version cannot write AOTInductor packages",
            field="--format",
            fix="leave the option out",
        )
    from ase import Atoms

    from egraff.export import MODEL_LICENCE, export_torchscript
    from egraff.training.checkpoint import load_info, load_model

    model = load_model(checkpoint, dtype=dtype.value if dtype else None)
    info = load_info(checkpoint)
    frame = info.get("check_structure")
    metadata = export_torchscript(
        model,
        output,
        structure=Atoms(**frame) if frame else None,
        training_data=info["training_data"],
        licence=licence or MODEL_LICENCE,
        fuse=fuse,
    )
    typer.echo(
        f"{output}: {metadata['architecture']}, {metadata['dtype']}, "
        f"{'fused, for the CPU' if metadata['fused'] else 'plain operators'}, "
        f"elements {' '.join(metadata['elements'])}, r_max {metadata['r_max']:g} Angstrom; "
        "agrees with the checkpoint"
    )
