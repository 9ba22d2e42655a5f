# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff import``: another package's model as a checkpoint of egraff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egraff.cli.types import writable

NOT_COMPARED = (
    "This model was not evaluated beside the original: that needs the original's own Python. The "
    "converter was, on other models (tests/parity). Compare energies and forces of some structures "
    "before you rely on it."
)


def import_(
    package: Annotated[
        str, typer.Argument(help="Whose model it is: an architecture, such as mace, or sevennet.")
    ],
    source: Annotated[
        Path,
        typer.Argument(
            help="Its state_dict, written by torch.save. Of sevennet: a checkpoint, WHEEL/NAME, or "
            "NAME (7net-0, 7net-l3i5) in an installed or downloaded package sevenn."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Checkpoint to write.", callback=writable),
    ],
    config: Annotated[
        Path | None,
        typer.Option(help="Its options, JSON or YAML; default: SOURCE with that suffix."),
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option(help="Elements it was trained on, H,C,O; torchmd-net and equiformer only."),
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="Head of a MACE with several; default: the first.")
    ] = None,
    drop_mean: Annotated[
        bool, typer.Option("--drop-mean", help="Leave out torchmd-net's constant per structure.")
    ] = False,
) -> None:
    """Convert a model of another package, from its weights and options.

    The originals' own model files can only be opened by the original: given one, the error says
    which lines to run there. The result is for `egraff export` and `egraff eval`.
    """
    from egraff.errors import InputError
    from egraff.files import sha256
    from egraff.interop.files import load_original
    from egraff.interop.sevennet_files import load_sevennet
    from egraff.names import IMPORTED
    from egraff.training.checkpoint import save_model

    if package == "sevennet":
        given = {"config": config, "elements": elements, "head": head, "drop-mean": drop_mean}
        for name, value in given.items():
            if value:
                raise InputError(
                    "not for sevennet: its checkpoints hold their options",
                    field=f"--{name}",
                    fix="leave the option out",
                )
        model, origin = load_sevennet(source)
    else:
        model = load_original(
            package.replace("-", "_"),
            source,
            config,
            elements=[symbol.strip() for symbol in elements.split(",")] if elements else None,
            head=head,
            drop_mean=drop_mean,
        )
        origin = {"package": package, "file": source.name, "sha256": sha256(source)}
    origin["compared"] = NOT_COMPARED
    save_model(output, model, training_data={IMPORTED: origin})
    n_weights = sum(parameter.numel() for parameter in model.parameters())
    typer.echo(
        f"{output}: {model.architecture}, {model.dtype}, elements {' '.join(model.elements)}, "
        f"r_max {model.r_max:g} Angstrom, {n_weights} weights\n{NOT_COMPARED}"
    )
