# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the core lets exchanges share memory: only where nobody writes into it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.profiler import profile

from egraff import _core
from egraff.export import export_torchscript
from egraff.forces import predict
from egraff.graph import graph_of_atoms
from egraff.models import ARCHITECTURES, build
from tests.models.configs import small_config
from tests.models.structures import crystal, graph_of
from tests.pair_style.systems import SYSTEMS
from tests.pair_style.toy import Toy, toy


class WritesAround(Toy):
    """Reads what it has sent or received, and writes into it, once the exchange is done."""

    __constants__ = ("writes_sent", "writes_received")  # other branches are not compiled

    def __init__(self, written: str) -> None:
        super().__init__(toy().config)
        self.writes_sent = written == "sent"
        self.writes_received = written == "received"

    def forward(
        self,
        species: torch.Tensor,
        edge_index: torch.Tensor,
        edge_vec: torch.Tensor,
        n_local: int,
    ) -> dict[str, torch.Tensor]:
        sent = edge_vec.new_zeros(n_local, 3).index_add(0, edge_index[0], edge_vec)
        received = torch.ops.egraff.ghost_exchange(sent, species.shape[0])
        if self.writes_sent:
            sent[:, :2] *= 3.0
        if self.writes_received:
            received.view(-1).mul_(2.0)
        neighbours = edge_vec.new_zeros(n_local, 3)
        neighbours = neighbours.index_add(0, edge_index[0], received[edge_index[1]])
        energy = (sent * neighbours).sum(1)
        return {"atomic_energy": energy, "charge": energy}


def exchanges(path, graph) -> tuple[Counter, dict]:
    """Return how often each operator was called, and what the model returned."""
    model = _core.Model(str(path), verify=False)
    with profile() as calls:
        result = model.evaluate(graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms)
    return Counter(event.name for event in calls.events()), result


@pytest.mark.parametrize("written", ["nothing", "sent", "received"])
def test_what_is_written_is_not_shared(tmp_path, written):
    model = WritesAround(written)
    export_torchscript(model, tmp_path / "m.pt")
    graph = graph_of_atoms(SYSTEMS["triclinic"], elements=["H", "O"], r_max=4.0)
    calls, result = exchanges(tmp_path / "m.pt", graph)
    expected = predict(model, graph)
    assert torch.allclose(result["atomic_energy"], expected.atomic_energy, rtol=1e-12, atol=0)
    assert calls["egraff::ghost_exchange_shared"] == (written == "nothing")
    assert calls["egraff::ghost_exchange"] == (written != "nothing")


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"allegro"}))
def test_no_architecture_copies(tmp_path, name):
    model = build(name, **small_config(name), seed=1)
    export_torchscript(model, tmp_path / "m.pt", fuse=None)
    calls, _ = exchanges(tmp_path / "m.pt", graph_of(model, crystal()))
    assert calls["egraff::ghost_exchange_shared"] == len(model.exchange_widths) > 0
    assert calls["egraff::ghost_exchange"] == 0
