# SPDX-License-Identifier: GPL-2.0-or-later
"""A model that knows no repulsion: whatever it holds falls into itself, slowly and smoothly.

What a model does that was trained on few frames: no error, no large energy, and a thermostat that
keeps the temperature right all the way.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from egraff.metadata import VISITED
from egraff.models.base import ForceField, ModelConfig

SHORTEST = {"H-H": 1.5, "H-O": 0.95, "O-O": 2.4}
"""Distances that its training data are said to have, in Angstrom."""

TRAINING_DATA = {
    VISITED: {
        "shortest_distances_ang": SHORTEST,
        "largest_force_ev_per_ang": 6.0,
        "n_stress_frames": 0,
    }
}


class Collapse(ForceField):
    """An energy of -0.01 eV (1 - (d / r_max)^2)^3 for every edge."""

    architecture: ClassVar[str] = "collapse"
    citations: ClassVar[list[str]] = ["A toy, for tests; cite nobody"]
    Config: ClassVar[type[ModelConfig]] = ModelConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.exchange_widths = []
        self.outputs = ["atomic_energy"]

    def forward(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int
    ) -> dict[str, Tensor]:
        inside = torch.clamp(1.0 - (edge_vec**2).sum(1) / self.r_max**2, min=0.0)
        energy = torch.zeros(n_local, dtype=edge_vec.dtype, device=edge_vec.device)
        return {"atomic_energy": energy.index_add(0, edge_index[0], -0.01 * inside**3)}


def collapse() -> Collapse:
    """Return the model, for O and H."""
    return Collapse(
        ModelConfig(elements=["O", "H"], r_max=4.0, dtype="float64", energy_shift=[0.0, 0.0])
    )
