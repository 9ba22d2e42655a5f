# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff train``: from labelled frames to a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from egraff.cli.labels import with_label_options
from egraff.cli.types import Device, Dtype, writable
from egraff.errors import InputError

_DATA, _MODEL, _FIT, _MACHINE = "Data", "Model", "Optimisation", "Machine"


@with_label_options
def train(
    out: Annotated[Path, typer.Option(help="Directory for all results.", callback=writable)],
    data: Annotated[
        Path | None,
        typer.Option(help="Training frames, any file ASE reads.", rich_help_panel=_DATA),
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(
            help="Validation frames; default: a tenth of DATA, at random.", rich_help_panel=_DATA
        ),
    ] = None,
    isolated_atoms: Annotated[
        Path | None,
        typer.Option(
            help="Labelled isolated atoms, whose energies become E0; default: those among the "
            "frames, or else least squares.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Architecture, for example nequip or mace.", rich_help_panel=_MODEL),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Named set of model options; default: small.", rich_help_panel=_MODEL),
    ] = None,
    r_max: Annotated[
        float | None,
        typer.Option(help="Cutoff in Angstrom; default: 5.", rich_help_panel=_MODEL),
    ] = None,
    dtype: Annotated[
        Dtype | None,
        typer.Option(help="Type of the network; default: float32.", rich_help_panel=_MODEL),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the data; default: 200.", rich_help_panel=_FIT),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Frames per step; default: 5.", rich_help_panel=_FIT)
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="Learning rate; default: 0.01.", rich_help_panel=_FIT),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of weights, order and split.", rich_help_panel=_FIT),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file with any settings; options given here win over it."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any setting, for example stress_weight=1 or model_options.l_max=2; repeatable.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue the training in OUT from its last epoch; start it if there is none (for "
            "queues).",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier training in OUT.")
    ] = False,
    device: Annotated[
        Device | None,
        typer.Option(help="Device; default: auto.", rich_help_panel=_MACHINE),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads; default: the fastest, measured.", rich_help_panel=_MACHINE),
    ] = None,
    *,
    label_options: Mapping[str, str],
) -> None:
    """Train a model: leaves best.ckpt, last.ckpt, summary.json, metrics.csv and splits in OUT.

    Ctrl-C keeps the last complete epoch; --resume goes on from there as if nothing had happened.

    Options without a flag go into --config or --set; they are explained in
    egraff.training.config.TrainConfig, and a finished training's config.yaml lists them all.
    """
    flags = {
        "data": data,
        "val": val,
        "isolated_atoms": isolated_atoms,
        "model": model,
        "preset": preset,
        "r_max": r_max,
        "dtype": dtype,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "device": device,
        "threads": threads,
    }
    given: dict[str, Any] = {
        name: value.value if isinstance(value, StrEnum) else value
        for name, value in flags.items()
        if value is not None
    }
    given |= label_options
    for name, value in map(_assignment, settings or []):
        if name in given:
            raise InputError(
                f"{name} is given twice, as {given[name]!r} and {value!r}",
                field="--set",
                fix="give it once",
            )
        given[name] = value

    from egraff.settings_file import read_settings
    from egraff.training.config import EXAMPLE, check_config, merge

    content = merge(read_settings(config, example=EXAMPLE) if config else {}, given)
    if resume:
        from egraff.training.fit import resumed_config

        chosen = resumed_config(out, content, where=config)
    else:
        chosen = check_config(content, where=config)
    _fit(chosen, out, resume=resume, overwrite=overwrite)


def _fit(config: Any, out: Path, *, resume: bool, overwrite: bool) -> None:
    from egraff.training.fit import fit
    from egraff.training.trainer import Interrupted

    try:
        fit(config, out, resume=resume, overwrite=overwrite)
    except Interrupted as stop:
        typer.echo(f"{stop}; continue with: egraff train --resume --out {out}", err=True)
        raise typer.Exit(130) from None


def _assignment(text: str) -> tuple[str, Any]:
    """Split ``name=value``; the value is read as YAML, so that numbers are numbers."""
    import yaml

    from egraff.settings_file import parse_yaml

    name, sign, value = text.partition("=")
    try:
        if not (name and sign):
            raise ValueError("no `=`")
        return name.strip(), parse_yaml(value)
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(
            f"expected NAME=VALUE, got {text!r} ({error})",
            field="--set",
            fix="write, for example, --set stress_weight=1",
        ) from None
