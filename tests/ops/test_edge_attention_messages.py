# SPDX-License-Identifier: GPL-2.0-or-later
"""What the operators of the equivariant transformer say when they are called wrongly."""

from __future__ import annotations

import re

import pytest
import torch

from tests.ops.attentions import make_case


def zeros(*shape):
    return torch.zeros(*shape, dtype=torch.float64)


def long(*shape):
    return torch.zeros(*shape, dtype=torch.int64)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("query", torch.zeros(6), "query: expected float32 or float64 [n_local, width], got"),
        ("n_heads", 5, "n_heads: expected a divisor of the width 32, got 5"),
        (
            "source",
            zeros(9, 128),
            "source: expected Double [n_nodes >= 6, 192 or 96], rows of heads in whole cache "
            "lines, got Double [9, 128]",
        ),
        ("source", zeros(5, 192), "source: expected Double [n_nodes >= 6, 192 or 96], rows of"),
        (
            "edge_vec",
            torch.zeros(40, 3),
            "edge_vec: expected [n_edges, 3] of the type of query, got Float [40, 3]",
        ),
        (
            "edge_index",
            long(2, 39),
            "edge_index: expected int64 [2, n_edges] as in edge_vec, got Long [2, 39]",
        ),
        ("species", long(8), "species: expected int64 [n_nodes] as in source, got Long [8]"),
        ("species", long(9) + 2, "species: expected 0 <= species < 2, got 2 at node 0"),
        (
            "pair_scale",
            zeros(2, 3),
            "pair_scale: expected float64 [n_species, n_species], got Double [2, 3]",
        ),
        (
            "table",
            zeros(1, 20, 3, 4, 8),
            "table: expected [n_chunks, n_knots + 2, 4, 4, 64 bytes of channels] of the type of "
            "query, got Double [1, 20, 3, 4, 8]",
        ),
        (
            "attention_act",
            "relu",
            "activation: expected silu, swish, sigmoid, tanh, mish, ssp or gelu, got relu\n"
            "  fix: export the model with --no-fuse",
        ),
    ],
)
def test_argument(name, value, message):
    case = make_case()
    case.source = case.packed(case.source)
    setattr(case if hasattr(case, name) else case.fused, name, value)
    with pytest.raises(ValueError, match=re.escape(f"scalar_vector_attention: {message}")):
        case.operator(*case.inputs)


def test_centres_out_of_order():
    case = make_case()
    case.edge_index = case.edge_index.flip(1)
    with pytest.raises(
        ValueError,
        match=r"scalar_vector_attention: edge_index: expected centres in ascending order, "
        r"0 <= i < n_local = 6, got \d at edge \d+",
    ):
        case.run_fused(*case.inputs)


def test_neighbour_out_of_range():
    case = make_case()
    case.edge_index[1, 4] = 9
    with pytest.raises(
        ValueError,
        match=r"scalar_vector_attention: edge_index: expected neighbours 0 <= j < n_nodes = 9, "
        r"got 9 at edge 4",
    ):
        case.run_fused(*case.inputs)


def test_gradient_of_another_shape():
    case = make_case()
    f = case.fused
    with pytest.raises(
        ValueError,
        match=r"attention_backward: by_vector: expected Double \[6, 3, 32\], got Double \[6, 32\]",
    ):
        torch.ops.egraff.scalar_vector_attention_backward(
            zeros(6, 32), zeros(6, 32), case.query, case.packed(case.source), case.edge_vec,
            case.edge_index, case.species, f.table, f.pair_scale, f.n_heads, "silu",
            f.grid_start, f.grid_stretch, True, True,
        )  # fmt: skip


def test_no_second_derivative():
    case = make_case()
    inputs = [x.requires_grad_(True) for x in case.inputs]
    total = sum(out.square().sum() for out in case.run_fused(*inputs))
    (gradient,) = torch.autograd.grad([total], inputs[-1:], create_graph=True)
    with pytest.raises(
        NotImplementedError,
        match=r"scalar_vector_attention has no second derivative: fused models are for "
        r"inference.\n  fix: train with the plain model, or export it with --no-fuse",
    ):
        gradient.sum().backward()
