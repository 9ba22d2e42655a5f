# SPDX-License-Identifier: GPL-2.0-or-later
"""The options that say how a data file names its labels, for all commands that read one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

_PANEL = "Labels in the file"


class Unit(StrEnum):
    """Units of a stress, as `egraff.data.labels.LabelKeys` knows them."""

    ev_per_ang3 = "eV/A^3"
    gpa = "GPa"
    kbar = "kbar"


class Sign(StrEnum):
    """What a positive stress means."""

    tension = "tension"
    compression = "compression"


def _option(kind: type, text: str) -> Any:
    return Annotated[
        kind | None, typer.Option(help=text, rich_help_panel=_PANEL, show_default=False)
    ]


# by the name of the setting in egraff.data.labels.LabelKeys
_OPTIONS = {
    "energy_key": _option(str, "Name of the total energy, eV. (default energy)"),
    "forces_key": _option(str, "Name of the forces, eV/A. (default forces)"),
    "stress_key": _option(str, "Name of the stress. (default stress)"),
    "virial_key": _option(
        str, "Name of the virial in eV, of which the stress is -virial/volume. (default virial)"
    ),
    "stress_unit": _option(Unit, "Unit of the stress. (default eV/A^3)"),
    "stress_sign": _option(
        Sign,
        "What is positive: tension, as in ASE, or compression, as VASP prints it. "
        "(default tension)",
    ),
}


def with_label_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Add these options to a command, which gets those that are set as ``label_options``.

    What they mean is for `egraff.data.labels.label_keys` to say.
    """

    @functools.wraps(verb)
    def command(**given: Any) -> None:
        values = {name: given.pop(name) for name in _OPTIONS}
        chosen = {
            name: value.value if isinstance(value, StrEnum) else value
            for name, value in values.items()
            if value is not None
        }
        verb(**given, label_options=chosen)

    # evaluated here: typer cannot evaluate the text of annotations in a signature that was made
    signature = inspect.signature(verb, eval_str=True)
    own = [signature.parameters[name] for name in signature.parameters if name != "label_options"]
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(name, keyword, default=None, annotation=kind)
        for name, kind in _OPTIONS.items()
    ]
    command.__signature__ = inspect.Signature([*own, *added])
    command.__annotations__ = {
        **{name: kind for name, kind in verb.__annotations__.items() if name != "label_options"},
        **_OPTIONS,
    }
    return command
