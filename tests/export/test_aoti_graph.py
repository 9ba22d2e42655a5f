# SPDX-License-Identifier: GPL-2.0-or-later
"""The program that is compiled: exact for any sizes, with every exchange and no atomic sums."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from e3nn.util import jit

from egraff.errors import EgraffError
from egraff.export import export_torchscript
from egraff.export.aoti_graph import trace
from egraff.export.prepare import verification_frames
from egraff.forces import predict
from egraff.fusion import fuse
from egraff.models import ARCHITECTURES, build
from tests.models.configs import small_config

ADDING = ("index_add", "index_put", "scatter_add", "put", "embedding_dense_backward")


# tracing a plain model takes many seconds; these have every operator of ours
QUICK = [("allegro", False)]
QUICK += [(name, True) for name in ("allegro", "equiformer", "mace", "torchmd_net")]
CASES = [
    pytest.param(name, fused, marks=() if (name, fused) in QUICK else pytest.mark.slow)
    for name in sorted(ARCHITECTURES)
    for fused in (False, True)
]


@pytest.mark.parametrize(("name", "fused"), CASES)
def test_traced_model(name, fused, tmp_path):
    model = build(name, seed=5, **{**small_config(name), "dtype": "float64"}).eval()
    export_torchscript(model, tmp_path / "m.egraff.pt")  # leaves the model as it is
    tracked = [parameter.requires_grad for parameter in model.parameters()]
    program = trace(fuse(model).model if fused else model)

    counts = Counter(
        str(node.target).removesuffix(".default")
        for node in program.graph.nodes
        if node.op == "call_function"
    )
    assert counts["egraff.ghost_exchange"] == len(model.exchange_widths)
    assert counts["egraff.ghost_reduce"] == len(model.exchange_widths)
    assert not any(counts[f"aten.{name}"] for name in ADDING)
    assert [parameter.requires_grad for parameter in model.parameters()] == tracked

    run = program.module()
    # machine code chooses its own strides; run eagerly, they need not be those of the trace
    for node in run.graph.nodes:
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    run.recompile()
    for _, graph in verification_frames(model, None):
        seed = torch.ones(graph.n_atoms, dtype=torch.float64)
        energy, gradient = run(graph.species, graph.edge_index, graph.edge_vec, seed)
        expected = predict(model, graph)
        assert torch.allclose(energy, expected.atomic_energy, rtol=1e-9)
        assert torch.allclose(gradient, expected.edge_gradient, rtol=1e-8, atol=1e-8)


def test_scripted_models_are_refused():
    model = build("allegro", seed=5, **small_config("allegro")).eval()
    jit.script(model)  # in place
    with pytest.raises(EgraffError, match="expected an eager model, got TorchScript in "):
        trace(model)
