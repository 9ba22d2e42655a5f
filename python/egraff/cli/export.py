# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff export``: from a training checkpoint to the file that LAMMPS loads."""

from __future__ import annotations

import functools
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from egraff.cli.types import Dtype, writable


class Format(StrEnum):
    """Formats an exported model can have."""

    torchscript = "torchscript"
    aoti = "aoti"


class InstructionSet(StrEnum):
    """Kinds of processors that an aoti file can be compiled for."""

    avx512 = "AVX512"
    avx2 = "AVX2"
    baseline = "baseline"


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint from `egraff train`.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="File to write, NAME.egraff.pt, or NAME.egraff.pt2 for aoti.",
            callback=writable,
        ),
    ],
    file_format: Annotated[
        Format,
        typer.Option(
            "--format",
            help="torchscript runs on any machine; aoti is machine code, which takes a C++ "
            "compiler and minutes to make and runs on processors like this one.",
        ),
    ] = Format.torchscript,
    dtype: Annotated[
        Dtype | None, typer.Option(help="Type of the exported network; default: as trained.")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="Terms of use of the weights, kept in the file; default: an import's."),
    ] = None,
    fuse: Annotated[
        bool | None,
        typer.Option(
            "--fuse/--no-fuse",
            help="Use fused operators, which are many times faster on the CPU and do not run on a "
            "GPU; default: if the model has any.",
        ),
    ] = None,
    instruction_set: Annotated[
        InstructionSet | None,
        typer.Option(
            help="For aoti: the processors to compile for; default: this machine's. AVX2 runs on "
            "nearly all x86 processors, AVX512 on recent ones for servers."
        ),
    ] = None,
) -> None:
    """Write a trained model as one self-describing file.

    The file is compared with the checkpoint's model on three frames before it gets its name.
    """
    from egraff.errors import InputError

    if instruction_set is not None and file_format is not Format.aoti:
        raise InputError(
            "expected --format aoti with this option, got --format torchscript",
            field="--instruction-set",
            fix="leave the option out, or add --format aoti",
        )
    from ase import Atoms

    from egraff.export import MODEL_LICENCE, export_torchscript
    from egraff.names import IMPORTED
    from egraff.training.checkpoint import load_info, load_model

    write = export_torchscript
    if file_format is Format.aoti:
        from egraff.export.aoti import export_aoti

        chosen = instruction_set.value if instruction_set else None
        write = functools.partial(export_aoti, instruction_set=chosen)
    model = load_model(checkpoint, dtype=dtype.value if dtype else None)
    info = load_info(checkpoint)
    frame = info.get("check_structure")
    imported = info["training_data"].get(IMPORTED) or {}
    metadata = write(
        model,
        output,
        structure=Atoms(**frame) if frame else None,
        training_data=info["training_data"],
        licence=licence or imported.get("licence") or MODEL_LICENCE,
        fuse=fuse,
    )
    compiled = ""
    if file_format is Format.aoti:
        compiled = "compiled for {machine} with {instruction_set}, ".format(**metadata["target"])
    typer.echo(
        f"{output}: {metadata['architecture']}, {metadata['dtype']}, "
        f"{'fused, for the CPU' if metadata['fused'] else 'plain operators'}, "
        f"{compiled}elements {' '.join(metadata['elements'])}, "
        f"r_max {metadata['r_max']:g} Angstrom; agrees with the checkpoint"
    )
