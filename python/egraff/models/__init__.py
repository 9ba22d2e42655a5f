# SPDX-License-Identifier: GPL-2.0-or-later
"""The architectures, by name.

Each module here describes one: options, presets, papers, network, and what to import from. Another
package adds its own with the decorator :func:`register`, and its fused form, if it has one, with
:func:`egraff.fusion.registry.fused_form`; named as an entry point of the group
``egraff.architectures``, its module is imported here and known to the command line as well.

On the presets: on the embedded molecule sixty epochs of ``small``, of BOTNet and Equiformer thirty,
take 32 to 69 s on two cores, and leave force errors of a twelfth of the trivial predictor's or
less. ``egraffbench`` holds what the benchmark's configuration files and logs say (Bihani et al.,
Digital Discovery 3, 759 (2024); repository MDBENCHGNN), not what the original papers recommend; its
cutoff was 5 Angstrom, which is the default, but 8 for MACE on GeTe. The origin of
the others is stated beside each. None includes settings of the training (optimiser, loss,
schedule).
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Any

import torch
from pydantic import ValidationError

from egraff.errors import InputError
from egraff.models.base import ForceField
from egraff.models.registry import ARCHITECTURES, find, register

# where other packages name the modules of their architectures
ENTRY_POINTS = "egraff.architectures"


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
    architecture = find(name)
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
    known = find(name).Config.presets
    if preset_name not in known:
        raise InputError(
            f"expected one of {', '.join(known)}, got {preset_name!r}",
            where=f"model {name}",
            field="preset",
            fix="choose one of these, or leave it out and give the options one by one",
        )
    return dict(known[preset_name])


@contextmanager
def _default_dtype(dtype: torch.dtype):
    previous = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(previous)


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
for _entry in entry_points(group=ENTRY_POINTS):
    _entry.load()

__all__ = ["ARCHITECTURES", "ForceField", "build", "preset", "register"]
