# SPDX-License-Identifier: GPL-2.0-or-later
"""Weights chosen by name: which are frozen, and which learn at another rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from egraff.errors import InputError


def weights_named(model: nn.Module, name: str, *, field: str) -> list[str]:
    """Return the names of the weights that a name stands for: a module, or one weight.

    Args:
        model: the model.
        name: such as ``embedding``, ``layers.0`` or ``layers.0.linear_in.weight``.
        field: the setting, for the message.

    Raises:
        InputError: there is nothing of that name, or it has no weights.
    """
    every = [weight for weight, _ in model.named_parameters()]
    found = [weight for weight in every if weight == name or weight.startswith(f"{name}.")]
    if not found:
        parts = [weight.split(".") for weight in every]
        choices = {p[0] if not p[1:2] or not p[1].isdigit() else ".".join(p[:2]) for p in parts}
        raise InputError(
            f"expected the name of a module with weights, got {name!r}",
            where="training settings",
            field=field,
            fix=f"choose of {', '.join(sorted(choices))}, or a module or weight inside of one",
        )
    return found


def freeze(model: nn.Module, names: Sequence[str]) -> int:
    """Keep weights as they are; return how many numbers that are.

    Raises:
        InputError: an unknown name, or nothing is left to learn.
    """
    frozen = {weight for name in names for weight in weights_named(model, name, field="freeze")}
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(
            f"nothing is left to learn with {', '.join(names)} frozen",
            where="training settings",
            field="freeze",
            fix="freeze less",
        )
    return sum(p.numel() for name, p in model.named_parameters() if name in frozen)


def parameter_groups(model: nn.Module, factors: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the weights to learn as groups of an optimiser, with ``lr_factor`` in each.

    Raises:
        InputError: an unknown name.
    """
    of_weight: dict[str, float] = {}
    for name in sorted(factors, key=lambda name: name.count(".")):
        of_weight |= dict.fromkeys(weights_named(model, name, field="lr_factors"), factors[name])
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(of_weight.get(name, 1.0), []).append(parameter)
    return [{"params": params, "lr_factor": factor} for factor, params in groups.items()]
