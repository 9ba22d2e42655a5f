# SPDX-License-Identifier: GPL-2.0-or-later
"""The architectures, by name."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import torch
from pydantic import ValidationError

from egraff.errors import InputError
from egraff.models.allegro import Allegro
from egraff.models.base import ForceField
from egraff.models.botnet import BOTNet
from egraff.models.equiformer import Equiformer
from egraff.models.mace import MACE
from egraff.models.nequip import NequIP
from egraff.models.presets import PRESETS
from egraff.models.torchmd_net import TorchMDNet

ARCHITECTURES: dict[str, type[ForceField]] = {
    cls.architecture: cls for cls in (Allegro, BOTNet, Equiformer, MACE, NequIP, TorchMDNet)
}


def build(name: str, *, seed: int | None = None, **config: Any) -> ForceField:
    """Make a model with random weights.

    Args:
        name: architecture, a key of :data:`ARCHITECTURES`.
        seed: seed of the weights; None leaves torch's generator as it is.
        **config: options of the architecture (its ``Config`` class); ``elements`` and ``r_max``
            are always needed.

    Raises:
        InputError: unknown architecture or option, or a value out of range.
    """
    architecture = _architecture(name)
    try:
        options = architecture.Config(**config)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "config"
        known = ", ".join(architecture.Config.model_fields)
        raise InputError(
            f"{first['msg']}, got {first['input']!r}",
            where=f"model {name}",
            field=field,
            fix=f"options of {name}: {known}",
        ) from error
    # e3nn takes its constants' precision from the default dtype at construction
    with (
        _default_dtype(getattr(torch, options.dtype)),
        torch.random.fork_rng(enabled=seed is not None),
    ):
        if seed is not None:
            torch.manual_seed(seed)
        return architecture(options)


def preset(name: str, preset_name: str) -> dict[str, Any]:
    """Return the options of a named preset of an architecture.

    Raises:
        InputError: unknown architecture or preset.
    """
    _architecture(name)
    known = PRESETS[name]
    if preset_name not in known:
        raise InputError(
            f"expected one of {', '.join(known)}, got {preset_name!r}",
            where=f"model {name}",
            field="preset",
            fix="choose one of these, or leave it out and give the options one by one",
        )
    return dict(known[preset_name])


def _architecture(name: str) -> type[ForceField]:
    if name not in ARCHITECTURES:
        raise InputError(
            f"expected one of {', '.join(ARCHITECTURES)}, got {name!r}",
            field="model",
            fix="choose one of these architectures",
        )
    return ARCHITECTURES[name]


@contextmanager
def _default_dtype(dtype: torch.dtype):
    previous = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(previous)


__all__ = ["ARCHITECTURES", "PRESETS", "ForceField", "build", "preset"]
