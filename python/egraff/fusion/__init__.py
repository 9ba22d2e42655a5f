# SPDX-License-Identifier: GPL-2.0-or-later
"""Swap the hot blocks of a trained model for fused operators, before it is exported.

Functions of the distance become tables (:mod:`egraff.fusion.distance_tables`). Each module here
registers the fused forms that it defines (:mod:`egraff.fusion.registry`).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch

from egraff.errors import EgraffError
from egraff.fusion import allegro, equiformer, message_passing, torchmd_net  # noqa: F401
from egraff.fusion.convolution import MAX_L
from egraff.fusion.registry import Fusion, form_of, fused
from egraff.models.base import ForceField
from egraff.models.isolated import IsolatedAtomForceField

# Bounds on the errors of tables, relative to the largest weight of the layer and its derivative.
# float32 cannot resolve more; float64 leaves the network's own rounding far behind.
TOLERANCE = {"float32": (1e-7, 1e-6), "float64": (1e-12, 1e-10)}
# A block with larger tables is refused.
MAX_TABLE_BYTES = 2**30


@dataclass(frozen=True)
class Fused:
    """A fused model, with a description of its tables.

    Attributes:
        model: computes what the plain model computes, without second derivatives.
        tables: for each tabulated network its layer's name, number of tables, knots, errors (as
            in :class:`egraff.fusion.radial_table.RadialTable`), bytes.
    """

    model: ForceField
    tables: list[dict[str, int | float | str]]


def can_fuse(model: ForceField) -> bool:
    """Tell whether there are fused operators for this model."""
    return form_of(model) is not None


def fuse(model: ForceField) -> Fused:
    """Return a fused copy of a model.

    Args:
        model: a plain model; it is not changed.

    Raises:
        EgraffError: there are no fused operators for this architecture, or its functions of the
            distance cannot be tabulated, or not within ``MAX_TABLE_BYTES``.
    """
    if not can_fuse(model):
        raise EgraffError(
            f"expected a model with fused operators (features and harmonics up to l = {MAX_L}), "
            f"got {model.architecture} without\n"
            "  fix: export with --no-fuse"
        )
    fusion = Fusion(model, tolerance=TOLERANCE[model.dtype], max_bytes=MAX_TABLE_BYTES)
    result = fused(copy.deepcopy(model), fusion, "")
    result.cutoffs = None
    if isinstance(result, IsolatedAtomForceField) and result.subtract_isolated:
        with torch.no_grad():
            result.alone = result.isolated_atoms(
                torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3, dtype=fusion.dtype)
            )
    return Fused(result, fusion.tables.reports)
