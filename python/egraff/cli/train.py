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
    from_model: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Checkpoint to fine-tune, trained or imported; gives architecture and options.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    e0: Annotated[
        str | None,
        typer.Option(
            help="Energies E0 (reference_energies): with --from keep (the default), refit or "
            "isolated_atoms; else auto, isolated_atoms or least_squares; or a YAML file of "
            "energies in eV by element.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option(
            help="Elements of the model, H,C,O; default: those of DATA and of --from.",
            rich_help_panel=_MODEL,
        ),
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
    freeze: Annotated[
        str | None,
        typer.Option(
            help="Modules that stay as they are, embedding,layers.0.", rich_help_panel=_FIT
        ),
    ] = None,
    lr_factor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE=FACTOR",
            help="Multiply the learning rate of a module; repeatable.",
            rich_help_panel=_FIT,
        ),
    ] = None,
    replay: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE[:WEIGHT]",
            help="Other data that is not to be forgotten, and the weight of its loss; default: 1. "
            "0 only shows its errors. Repeatable.",
            rich_help_panel=_DATA,
        ),
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
        "from_model": from_model,
        "reference_energies": _energies(e0) if e0 is not None else None,
        "elements": _names(elements),
        "preset": preset,
        "r_max": r_max,
        "dtype": dtype,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "freeze": _names(freeze),
        "lr_factors": _factors(lr_factor) if lr_factor else None,
        "replay": [_replay(text) for text in replay] if replay else None,
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
        from egraff.training.resume import resumed_config

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


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _energies(text: str) -> Any:
    """Return the word, or the energies of a file."""
    if not Path(text).is_file():
        if Path(text).suffix:
            raise InputError(
                f"no such file: {text}", field="--e0", fix="give a YAML file of energies in eV"
            )
        return text
    from egraff.settings_file import read_settings

    return read_settings(Path(text), example="H: -13.6")


def _factors(texts: list[str]) -> dict[str, float]:
    """Return learning-rate factors by module."""
    found: dict[str, float] = {}
    for text in texts:
        name, value = _assignment(text, field="--lr-factor", example="--lr-factor layers.0=0.1")
        if name in found:
            raise InputError(f"{name} is given twice", field="--lr-factor", fix="give it once")
        found[name] = value
    return found


def _replay(text: str) -> dict[str, Any]:
    """Split ``file[:weight]``; a colon in the name of a file that exists belongs to the name."""
    name, colon, weight = text.rpartition(":")
    if not colon or Path(text).exists():
        return {"data": text}
    try:
        return {"data": name, "weight": float(weight)}
    except ValueError:
        raise InputError(
            f"expected FILE:WEIGHT with a number, got {text!r}",
            field="--replay",
            fix="write, for example, --replay old.xyz:0.5",
        ) from None


def _assignment(
    text: str, *, field: str = "--set", example: str = "--set stress_weight=1"
) -> tuple[str, Any]:
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
            field=field,
            fix=f"write, for example, {example}",
        ) from None
