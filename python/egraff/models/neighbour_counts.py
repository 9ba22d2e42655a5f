# SPDX-License-Identifier: GPL-2.0-or-later
"""The option of NequIP and Allegro to have a mean number of neighbours for each element."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, model_validator

from egraff.models.base import ModelConfig


class NeighbourCountsConfig(ModelConfig):
    """Options with one mean number of neighbours for all elements, or one for each.

    Attributes:
        avg_num_neighbours: mean number of edges per atom in the training set; normalises sums. Or
            such a mean for each element, ``[n_species]``.
    """

    avg_num_neighbours: PositiveFloat | list[PositiveFloat] = Field(default=1.0)

    @model_validator(mode="after")
    def _one_count_per_element(self) -> NeighbourCountsConfig:
        counts = self.avg_num_neighbours
        if isinstance(counts, list) and len(counts) != len(self.elements):
            raise ValueError(
                f"avg_num_neighbours: expected one number or one for each of "
                f"{len(self.elements)} elements, got {len(counts)}"
            )
        return self

    def neighbour_counts(self) -> list[float]:
        """Return one number for all elements, or ``[n_species]``."""
        counts = self.avg_num_neighbours
        return counts if isinstance(counts, list) else [counts]
