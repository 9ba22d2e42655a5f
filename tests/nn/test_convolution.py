# SPDX-License-Identifier: GPL-2.0-or-later
"""The edge convolution against e3nn's tensor product followed by a sum over edges."""

from __future__ import annotations

import pytest
import torch
from e3nn import o3

from egraff.nn.convolution import EdgeConvolution
from egraff.nn.edges import bare_edges


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def reference(convolution, irreps_in, irreps_sh, irreps_keep):
    """Return e3nn's product with the same paths, and the order of its weights in ours."""
    instructions, blocks, sizes = [], [], []
    for i, (mul, ir_in) in enumerate(irreps_in):
        for j, (_, ir_sh) in enumerate(irreps_sh):
            for ir_out in ir_in * ir_sh:
                if ir_out in irreps_keep:
                    instructions.append((i, j, len(blocks), "uvu", True))
                    blocks.append((mul, ir_out))
                    sizes.append(mul)
    irreps_mid, permutation, _ = o3.Irreps(blocks).sort()
    instructions = [(i, j, permutation[k], mode, w) for i, j, k, mode, w in instructions]
    assert irreps_mid == convolution.irreps_out
    return o3.TensorProduct(
        irreps_in,
        irreps_sh,
        irreps_mid,
        instructions,
        shared_weights=False,
        internal_weights=False,
    )


@pytest.mark.parametrize(
    ("irreps_in", "irreps_keep"),
    [
        ("5x0e", "0e + 1o + 2e"),
        ("3x0e + 2x1o", "0e + 1o + 1e + 2e"),
        ("2x0e + 3x0o + 2x1o + 1x1e + 2x2e", "0e + 0o + 1o + 1e + 2e + 2o"),
        ("2x1o", "0e"),
    ],
)
def test_against_e3nn(irreps_in, irreps_keep):
    torch.manual_seed(1)
    irreps_in, irreps_keep = o3.Irreps(irreps_in), o3.Irreps(irreps_keep)
    irreps_sh = o3.Irreps.spherical_harmonics(2)
    convolution = EdgeConvolution(irreps_in, irreps_sh, irreps_keep)
    product = reference(convolution, irreps_in, irreps_sh, irreps_keep)
    assert convolution.n_weights == product.weight_numel

    n_nodes, n_edges = 4, 9
    x = irreps_in.randn(n_nodes, -1)
    vectors = torch.randn(n_edges, 3)
    sh = o3.spherical_harmonics(irreps_sh, vectors, normalize=True)
    weights = torch.randn(n_edges, convolution.n_weights)
    edge_index = torch.randint(0, n_nodes, (2, n_edges))
    messages = product(x[edge_index[1]], sh, weights)
    expected = torch.zeros(n_nodes, irreps_out_dim(convolution)).index_add(
        0, edge_index[0], messages
    )
    species = torch.zeros(n_nodes, dtype=torch.int64)
    edges = bare_edges(species, edge_index, vectors, n_nodes)._replace(harmonics=sh)
    actual = convolution(x, edges, weights)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def irreps_out_dim(convolution):
    return convolution.irreps_out.dim


def test_no_edges_and_more_nodes_than_receivers():
    convolution = EdgeConvolution(
        o3.Irreps("2x0e + 1x1o"), o3.Irreps("0e + 1o"), o3.Irreps("0e + 1o")
    )
    empty = torch.zeros(2, 0, dtype=torch.int64)
    edges = bare_edges(torch.zeros(5, dtype=torch.int64), empty, torch.zeros(0, 3), 3)
    edges = edges._replace(harmonics=torch.zeros(0, 4))
    out = convolution(torch.randn(5, 5), edges, torch.zeros(0, convolution.n_weights))
    assert torch.equal(out, torch.zeros(3, convolution.irreps_out.dim))
