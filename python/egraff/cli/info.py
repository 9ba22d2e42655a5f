# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff info``: what a model is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

MOST_ENERGIES = 10
"""Elements whose E0 are printed; --json has all."""


def info(
    model: Annotated[Path, typer.Argument(help="A checkpoint, or an exported model.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say what a model is: architecture, elements, E0, training data, errors, licence, citations.

    Files of other programs are named, with the way to egraff if there is one.
    """
    import json

    from egraff.model_card import model_card

    card = model_card(model)
    if as_json:
        typer.echo(json.dumps(card, indent=2))
        return
    for name, text in _lines(card):
        typer.echo(f"{name:<16}{text}")


def _lines(card: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield card["kind"], card["file"]
    fused = {True: ", fused operators for the CPU", False: ", plain operators"}
    yield (
        "architecture",
        f"{card['architecture']}, {card['dtype']}" + fused.get(card.get("fused"), ""),
    )
    yield "weights", str(card["n_weights"])
    yield "cutoff", f"{card['r_max_ang']:g} A"
    yield "elements", f"{len(card['elements'])}: {' '.join(card['elements'])}"
    yield "options", ", ".join(f"{k}={_short(v)}" for k, v in card["options"].items()) or "defaults"
    energies = card["reference_energies_ev"]
    if energies is None:
        yield "E0 (eV)", "learnt; see the checkpoint"
    else:
        shown = [f"{el} {value:.4f}" for el, value in list(energies.items())[:MOST_ENERGIES]]
        rest = len(energies) - len(shown)
        yield "E0 (eV)", ", ".join(shown) + (f", and {rest} more" if rest else "")
    exchanges = card["exchanges"]
    yield (
        "exchanges",
        f"{exchanges['per_step']} per step, {exchanges['bytes_per_ghost_and_step']} bytes for each "
        "ghost atom",
    )
    yield from _training(card["training"])
    yield "licence", card["licence"]
    for citation in card["citations"]:
        yield "cite", citation
    yield "written by", f"egraff {card['egraff_version']}"
    yield "SHA-256", card["sha256"]


def _training(training: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for file in training["files"]:
        yield "data", f"{file['name']} ({file['role']}), {file['n_frames']} frames"
    if origin := training["imported_from"]:
        yield "imported from", f"{origin['package']}, {origin['file']}"
        if "compared" in origin:
            yield "compared", origin["compared"]
    if tuned := training["fine_tuned_from"]:
        yield "fine-tuned from", f"{tuned['name']}, E0 {tuned['e0']}"
        for name, metrics in (tuned["after"] or {}).items():
            before = tuned["before"][name]["force_mae_ev_per_ang"]
            yield (
                "",
                f"{name}: force MAE {1000 * before:.1f} before, "
                f"{1000 * metrics['force_mae_ev_per_ang']:.1f} meV/A after",
            )
    for name, value in (training.get("errors") or {}).items():
        if "_mae_" in name:
            yield "validation", f"{name} {value:.4g}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
