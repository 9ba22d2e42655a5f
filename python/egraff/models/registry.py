# SPDX-License-Identifier: GPL-2.0-or-later
"""The architectures that egraff knows, by name."""

from __future__ import annotations

from typing import TypeVar

from egraff.errors import InputError
from egraff.models.base import ForceField

ARCHITECTURES: dict[str, type[ForceField]] = {}

Architecture = TypeVar("Architecture", bound=type[ForceField])


def register(cls: Architecture) -> Architecture:
    """Make an architecture known by its name, also one from outside egraff; for use as a decorator.

    Raises:
        InputError: another class has that name, or there is no preset to start with.
    """
    known = ARCHITECTURES.get(cls.architecture)
    if known is not None and known is not cls:
        raise InputError(
            f"expected a new name, got {cls.architecture!r} of {known.__module__}",
            field="architecture",
            fix="give the class another name",
        )
    if "small" not in cls.Config.presets:
        raise InputError(
            f"expected a preset `small` among {sorted(cls.Config.presets)}",
            where=f"model {cls.architecture}",
            field="presets",
            fix="add one to its Config",
        )
    ARCHITECTURES[cls.architecture] = cls
    return cls


def find(name: str) -> type[ForceField]:
    """Return the architecture of a name.

    Raises:
        InputError: there is none.
    """
    if name not in ARCHITECTURES:
        raise InputError(
            f"expected one of {', '.join(sorted(ARCHITECTURES))}, got {name!r}",
            field="model",
            fix="choose one of these architectures",
        )
    return ARCHITECTURES[name]
