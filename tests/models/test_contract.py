# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the contract, shown to fail for models that break it."""

import pytest
import torch
from torch import Tensor

from egraff import ops
from tests.models.contract import assert_writes_nothing

ops.load()


class Writes(torch.nn.Module):
    """Writes in place into one of the tensors that a model is given, or into none."""

    dtype = "float64"
    elements = ("H", "C", "O")
    r_max = 4.0
    pair_cutoffs = None

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    def forward(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int
    ) -> dict[str, Tensor]:
        sent = edge_vec.new_zeros(n_local, 3).index_add(0, edge_index[0], edge_vec)
        received = torch.ops.egraff.ghost_exchange(sent, species.shape[0])
        tensors = {"species": species, "edge_index": edge_index, "edge_vec": edge_vec}
        tensors |= {"sent": sent, "received": received}
        if self.target in tensors:
            tensors[self.target].mul_(1)
        return {"atomic_energy": received[:n_local].square().sum(1)}


@pytest.mark.parametrize("target", ["species", "edge_index", "edge_vec", "sent", "received"])
def test_a_model_that_writes_in_place_breaks_the_contract(target, monkeypatch):
    with pytest.raises(AssertionError, match=f"written in place: {target}"):
        assert_writes_nothing(Writes(target), monkeypatch)


def test_one_that_does_not_keeps_it(monkeypatch):
    assert_writes_nothing(Writes("nothing"), monkeypatch)
