# SPDX-License-Identifier: GPL-2.0-or-later
"""Fused float32 models are about as near to their float64 form as the plain ones are.

A table with hundreds of knots loses digits where a derivative is made from the values at the ends
of an interval, and on a stretched grid where a position is rounded: that was 2 to 4 (Allegro,
TorchMD-Net) and 6 (Equiformer) times the plain model's rounding.
"""

from __future__ import annotations

import pytest
import torch
from ase.io import read

from egraff.data.embedded import embedded
from egraff.data.frames import frame_from_atoms
from egraff.export import float64_form
from egraff.forces import predict
from egraff.fuse import fuse
from egraff.models import build
from egraff.training.dataset import frame_graph


# Rounding of a fused model over the plain one's. Allegro's is 0.7 to 1.1; 1.2 to 1.5 is left for
# the others, whose first embedding is a convolution with a table of values.
@pytest.mark.parametrize(
    ("architecture", "seed", "largest"),
    [
        ("allegro", 1, 1.5),
        ("allegro", 2, 1.5),
        ("allegro", 3, 1.5),
        ("equiformer", 1, 2.0),
        ("torchmd_net", 1, 2.0),
    ],
)
def test_forces_are_rounded_no_more_than_those_of_the_plain_model(architecture, seed, largest):
    plain = build(
        architecture,
        seed=seed,
        dtype="float32",
        elements=["C", "H", "O"],
        r_max=5.0,
        avg_num_neighbours=8.0,
    ).eval()
    exact, fused = float64_form(plain), fuse(plain).model
    errors: dict[str, list[torch.Tensor]] = {"plain": [], "fused": []}
    for atoms in read(embedded("molecule", "test"), index=":10"):
        graph = frame_graph(frame_from_atoms(atoms), elements=plain.elements, r_max=plain.r_max)
        expected = predict(exact, graph).forces
        for name, model in (("plain", plain), ("fused", fused)):
            errors[name].append(predict(model, graph).forces - expected)
    sizes = {name: float(torch.cat(parts).square().mean().sqrt()) for name, parts in errors.items()}
    assert 0 < sizes["fused"] < largest * sizes["plain"], sizes
