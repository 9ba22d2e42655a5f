# SPDX-License-Identifier: GPL-2.0-or-later
"""Which block has which fused form, and how a model's blocks are swapped for theirs.

A fused form is registered beside its definition, for whole architectures as for single blocks:

    @fused_form(SomeBlock, accepts=has_kernels)
    def fuse_some_block(plain: SomeBlock, fusion: Fusion, name: str) -> nn.Module: ...

or, for a class that needs nothing but the plain block and the model's type,

    @drop_in(SomeBlock)
    class FusedSomeBlock(nn.Module): ...

:func:`fused` looks a block up, and goes into those that have no form.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from egraff.fusion.distance_tables import DistanceTables, StepwiseLayerNorm
from egraff.models.base import ForceField

# Maps a plain block, what belongs to the model, and the block's name there to the fused block.
# The plain block belongs to a copy of the model and may be changed.
Make = Callable[[nn.Module, "Fusion", str], nn.Module]
Block = TypeVar("Block", bound=type[nn.Module])


class Fusion:
    """What all fused blocks of one model are made with.

    Args:
        model: the plain model; it is not changed.
        tolerance: bounds on the errors of tables and of their derivatives.
        max_bytes: bound on the size of the tables of one block.

    Attributes:
        model64: a copy of the model in float64, which tables are made from.
        dtype: floating-point type of the model.
        tables: of functions of the distance.
    """

    def __init__(
        self, model: ForceField, *, tolerance: tuple[float, float], max_bytes: int
    ) -> None:
        self.model64 = copy.deepcopy(model).to(torch.float64).requires_grad_(False)
        for module in list(self.model64.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.LayerNorm):
                    setattr(module, name, StepwiseLayerNorm(child))
        self.dtype: torch.dtype = getattr(torch, model.dtype)
        self.tables = DistanceTables(
            self.model64.cutoffs, self.dtype, tolerance=tolerance, max_bytes=max_bytes
        )


@dataclass(frozen=True)
class Form:
    """The fused form of a class of blocks.

    Attributes:
        make: makes it.
        accepts: whether the operators can compute this instance.
    """

    make: Make
    accepts: Callable[[nn.Module], bool]


_FORMS: dict[type[nn.Module], Form] = {}


def fused_form(
    *plain: type[nn.Module], accepts: Callable[[nn.Module], bool] = lambda _: True
) -> Callable[[Make], Make]:
    """Register what makes the fused form of these classes, not of classes derived from them."""

    def register(make: Make) -> Make:
        for cls in plain:
            _FORMS[cls] = Form(make, accepts)
        return make

    return register


def drop_in(
    plain: type[nn.Module], *, accepts: Callable[[nn.Module], bool] = lambda _: True
) -> Callable[[Block], Block]:
    """Register a class whose arguments are the plain block and the model's floating-point type."""

    def register(cls: Block) -> Block:
        _FORMS[plain] = Form(lambda block, fusion, _: cls(block, fusion.dtype), accepts)
        return cls

    return register


def form_of(module: nn.Module) -> Form | None:
    """Return the fused form of a block or a model, if there is one that accepts it."""
    form = _FORMS.get(type(module))
    return form if form is not None and form.accepts(module) else None


def fused(module: nn.Module, fusion: Fusion, name: str) -> nn.Module:
    """Return the fused form of a block; without one, the block with that of its parts."""
    form = form_of(module)
    return fuse_parts(module, fusion, name) if form is None else form.make(module, fusion, name)


def fuse_parts(module: nn.Module, fusion: Fusion, name: str) -> nn.Module:
    """Swap the parts of a block for their fused forms; return the block."""
    for part, child in module.named_children():
        setattr(module, part, fused(child, fusion, f"{name}.{part}".removeprefix(".")))
    return module
