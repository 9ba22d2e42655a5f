# SPDX-License-Identifier: GPL-2.0-or-later
"""Two forms of one model: how far they may differ, and whether they do."""

from __future__ import annotations

import copy

import torch

from egraff.errors import DisagreementError
from egraff.forces import Prediction, predict
from egraff.graph import Graph
from egraff.models.base import ForceField

# Largest difference between two evaluations of one model, relative to the size of the numbers
# involved. float32 leaves room for another order of summation.
RELATIVE_TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
# A fused model also has tables in place of networks.
FUSED_TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
# Fused operators and compilers reorder sums: of two orders, each may be as far from the exact sum.
ORDERS = 2
# No model may have more rounding than this, relative as above. It is fifty times what parity tests
# find in float32 with the authors' weights; where the largest force is wrong by 3e-4, the many that
# are a hundred times smaller are wrong by a few per cent.
LARGEST_ROUNDING = 3e-4

_COMPARED = (("atomic_energy", "eV"), ("forces", "eV/A"), ("virial", "eV"))


def compare(
    model: torch.nn.Module,
    other: torch.nn.Module,
    graph: Graph,
    *,
    what: str,
    tolerance: float | None = None,
) -> dict[str, float]:
    """Check that two forms of one model agree on a graph.

    Args:
        model: the form to trust.
        other: the form to check.
        graph: where to evaluate both.
        what: the two forms in words, for the message.
        tolerance: relative to the largest value, or to 1 if that is smaller; default: that of two
            evaluations in the model's dtype.

    Returns:
        Largest differences: ``energy`` in eV, ``forces`` in eV/A, ``virial`` in eV.

    Raises:
        DisagreementError: with both values and the tolerance.
    """
    if tolerance is None:
        tolerance = RELATIVE_TOLERANCE[model.dtype]
    return compare_predictions(
        predict(model, graph), predict(other, graph), what=what, tolerance=tolerance
    )


def compare_predictions(
    first: Prediction, second: Prediction, *, what: str, tolerance: float
) -> dict[str, float]:
    """Check that two forms of one model gave the same; see :func:`compare`."""
    largest = {}
    for name, unit in _COMPARED:
        difference, scale = _difference(first, second, name)
        # a difference that is not a number is a disagreement too
        if not difference <= tolerance * scale:
            raise DisagreementError(
                f"{what}: {name} differ by {difference:.3e} {unit}, expected at most "
                f"{tolerance * scale:.1e}; this is a defect of the export, please report it"
            )
        largest[name] = difference
    return largest


def tolerance_on(model: ForceField, graph: Graph, *, least: float) -> float:
    """Return by how much two forms may differ on a graph: large terms that cancel leave rounding.

    Args:
        model: the model to trust.
        graph: where it is evaluated.
        least: the tolerance of a well-conditioned model.

    Raises:
        DisagreementError: more rounding than a model may have. A comparison that allowed for it
            would find nothing wrong with anything.
    """
    found = rounding(model, graph)
    if not found <= LARGEST_ROUNDING:
        raise DisagreementError(
            f"expected a float32 model to be within {LARGEST_ROUNDING:.0e} of its float64 form, "
            f"relative to the largest energy or force, got {found:.1e}: large terms cancel in it\n"
            "  fix: export with --dtype float64; or train longer, on more structures"
        )
    return max(least, ORDERS * found)


def rounding(model: ForceField, graph: Graph) -> float:
    """How far a float32 model is from its float64 form, relative as in :func:`compare`."""
    if model.dtype == "float64":
        return 0.0
    in_float64, rounded = predict(float64_form(model), graph), predict(model, graph)
    found = (_difference(in_float64, rounded, name) for name, _ in _COMPARED)
    # torch's maximum keeps a NaN, which Python's may lose
    return float(torch.tensor([difference / scale for difference, scale in found]).max())


def float64_form(model: ForceField) -> ForceField:
    """Return the same weights in float64."""
    in_float64 = copy.deepcopy(model).to(torch.float64)
    in_float64.dtype = "float64"
    return in_float64


def _difference(first: Prediction, second: Prediction, name: str) -> tuple[float, float]:
    """Return the largest difference of a quantity, and the size that it is relative to."""
    a, b = getattr(first, name), getattr(second, name)
    if not a.numel():
        return 0.0, 1.0
    return float((a - b).abs().max()), max(1.0, float(a.abs().max()))
