# SPDX-License-Identifier: GPL-2.0-or-later
"""Every preset builds, evaluates, and announces the ghost exchanges that it makes."""

from __future__ import annotations

import pytest
import torch

from egraff.forces import predict
from egraff.models import ARCHITECTURES, build, preset
from tests.models.configs import SHARED
from tests.models.ghosts import RecordedExchange, with_ghosts
from tests.models.structures import graph_of, molecule

EVERY = [
    (name, chosen)
    for name, architecture in sorted(ARCHITECTURES.items())
    for chosen in architecture.Config.presets
]


@pytest.mark.parametrize(("name", "chosen"), EVERY, ids=["-".join(both) for both in EVERY])
def test_preset_evaluates_and_announces_its_exchanges(name, chosen, monkeypatch):
    model = build(name, seed=3, **SHARED, **preset(name, chosen)).eval()
    graph = graph_of(model, molecule()[:3])
    ghosted = with_ghosts(graph)
    exchange = RecordedExchange(ghosted.owner)
    edge_vec = graph.edge_vec.to(getattr(torch, model.dtype))
    with torch.no_grad():
        folded = model(graph.species, graph.edge_index, edge_vec, 3)["atomic_energy"]
        monkeypatch.setattr(torch.ops.egraff, "ghost_exchange", exchange)
        energy = model(ghosted.species, ghosted.edge_index, edge_vec, 3)["atomic_energy"]
    assert exchange.widths == model.exchange_widths
    assert torch.isfinite(energy).all()
    # float32: sums of up to six layers, in another order
    assert float((energy - folded).abs().max()) < 1e-4
    assert float((energy - torch.tensor(SHARED["energy_shift"])[graph.species]).abs().max()) > 1e-6


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_small_preset_has_forces(name):
    model = build(name, seed=3, **SHARED, **preset(name, "small")).eval()
    prediction = predict(model, graph_of(model, molecule()))
    assert float(prediction.forces.abs().max()) > 1e-3
    assert float(prediction.forces.sum(dim=0).abs().max()) < 1e-4
