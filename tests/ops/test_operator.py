# SPDX-License-Identifier: GPL-2.0-or-later
"""What all operators share (``cpp/ops/torch/operator.h``), on one of them."""

from __future__ import annotations

import re

import pytest
import torch
from torch.autograd import forward_ad

from egraff import ops

ops.load()
OP = torch.ops.egraff.block_norm


def arguments() -> tuple:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 3, dtype=torch.float64, generator=generator)
    return x, torch.ones(3, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), [1, 2], 1e-5


@pytest.mark.parametrize("name", ["block_norm", "block_norm_backward", "allegro_energy"])
def test_the_kernel_for_a_gpu_refuses(name):
    op = getattr(torch.ops.egraff, name).default
    kinds = {"Tensor": torch.zeros(2), "int": 1, "SymInt": 1, "float": 1.0, "List[int]": [1]}
    given = [kinds[str(argument.type)] for argument in op._schema.arguments]
    message = (
        f"egraff::{name} runs on the CPU only, got tensors on a GPU.\n"
        "  fix: use device cpu, or export the model with --no-fuse for the GPU"
    )
    with pytest.raises(NotImplementedError, match=re.escape(message)):
        op.redispatch(torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA), *given)


# Exported files call operators by their schemas: one that changes makes them unreadable.
SCHEMAS = [
    pytest.param(
        "egraff::edge_convolution(Tensor x, Tensor edge_vec, Tensor edge_index, Tensor species, "
        "Tensor tables, Tensor pair_scale, Tensor pair_table, Tensor paths, "
        "Tensor coupling_index, Tensor coupling_value, float grid_start, SymInt n_local, "
        "SymInt width_out, float grid_stretch, bool channels_last, Tensor[] after, "
        "SymInt width_after, int grid_kink) -> Tensor",
        id="edge_convolution",
    ),
    pytest.param(
        "egraff::edge_convolution_backward(Tensor gradient, Tensor x, Tensor edge_vec, "
        "Tensor edge_index, Tensor species, Tensor tables, Tensor pair_scale, Tensor pair_table, "
        "Tensor paths, Tensor coupling_index, Tensor coupling_value, float grid_start, "
        "SymInt n_local, SymInt width_out, float grid_stretch, bool channels_last, "
        "Tensor[] after, SymInt width_after, int grid_kink, bool wants_x, bool wants_edge_vec) -> "
        "(Tensor, Tensor)",
        id="edge_convolution_backward",
    ),
    pytest.param(
        "egraff::scalar_vector_attention(Tensor query, Tensor source, Tensor edge_vec, "
        "Tensor edge_index, Tensor species, Tensor table, Tensor pair_scale, int n_heads, "
        "str activation, float grid_start, float grid_stretch) -> (Tensor, Tensor)",
        id="scalar_vector_attention",
    ),
    pytest.param(
        "egraff::block_norm(Tensor x, Tensor weight, Tensor bias, int[] sizes, "
        "float eps) -> Tensor",
        id="block_norm",
    ),
    pytest.param(
        "egraff::graph_attention(Tensor source, Tensor target, Tensor edge_vec, "
        "Tensor edge_index, Tensor species, Tensor[] constants, int n_functions, int n_heads, "
        "int width_out, float negative_slope, float grid_start, float grid_stretch) -> Tensor",
        id="graph_attention",
    ),
    pytest.param(
        "egraff::allegro_energy_and_gradient(Tensor edge_vec, Tensor edge_index, Tensor species, "
        "Tensor tables, Tensor pair_scale, Tensor pair_table, Tensor buffers, Tensor steps, "
        "Tensor matrices, Tensor products, Tensor entries, Tensor terms, Tensor term_weights, "
        "float grid_start, int l_max, SymInt n_local) -> (Tensor, Tensor)",
        id="allegro_energy_and_gradient",
    ),
    pytest.param(
        "egraff::irreps_linear(Tensor x, Tensor? species, Tensor weights, Tensor blocks, "
        "Tensor weights_back, Tensor blocks_back, SymInt width_out, bool sent=False) -> Tensor",
        id="irreps_linear",
    ),
    pytest.param(
        "egraff::gate(Tensor x, Tensor blocks, Tensor factors, SymInt width_out) -> Tensor",
        id="gate",
    ),
    pytest.param(
        "egraff::gate_backward(Tensor gradient, Tensor x, Tensor blocks, Tensor factors) -> Tensor",
        id="gate_backward",
    ),
    pytest.param(
        "egraff::gated_vector_update(Tensor x, Tensor v, Tensor scalars, Tensor vectors, "
        "Tensor weight, Tensor bias, Tensor maps) -> (Tensor, Tensor)",
        id="gated_vector_update",
    ),
    pytest.param(
        "egraff::gated_vector_update_backward(Tensor by_x, Tensor by_v, Tensor v, Tensor scalars, "
        "Tensor weight, Tensor bias, Tensor maps) -> (Tensor, Tensor)",
        id="gated_vector_update_backward",
    ),
    pytest.param(
        "egraff::index_sum(Tensor source, int dim, Tensor index, SymInt size) -> Tensor",
        id="index_sum",
    ),
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_schemas_of_exported_files(schema):
    name = schema.removeprefix("egraff::").split("(")[0]
    assert str(getattr(torch.ops.egraff, name).default._schema) == schema


def test_same_numbers_without_autograd():
    x, *constants = arguments()
    with_autograd = OP(x.clone().requires_grad_(True), *constants)
    with torch.no_grad():
        without = OP(x.clone().requires_grad_(True), *constants)
    assert with_autograd.requires_grad
    assert not without.requires_grad
    assert torch.equal(with_autograd, without)


def test_derivative_twice_of_one_graph():
    x, *constants = arguments()
    x.requires_grad_(True)
    total = OP(x, *constants).square().sum()
    first, second = (torch.autograd.grad(total, x, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("grad_mode", [False, True])
def test_forward_mode_is_refused_in_either_grad_mode(grad_mode):
    x, *constants = arguments()
    with torch.set_grad_enabled(grad_mode), forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises(RuntimeError, match="jvp is not implemented"):
            OP(dual, *constants)
