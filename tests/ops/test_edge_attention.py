# SPDX-License-Identifier: GPL-2.0-or-later
"""The attention operator against its formula: values, derivatives, empty graphs, threads."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from egraff.nn.activations import ActivationName
from tests.ops.attentions import NAMES, assert_same, make_case, values_and_gradients
from tests.ops.convolutions import CUTOFFS, assert_close
from tests.ops.instruction_sets import run_with


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("vectors", [True, False])
@pytest.mark.parametrize(
    ("width", "n_heads"),
    # head widths 1, 2, 3, 8, 16 and, more than a cache line, 20 and 32
    [(2, 2), (6, 3), (15, 5), (32, 4), (32, 2), (40, 2), (96, 3)],
)
def test_equals_the_formula(width, n_heads, vectors, dtype):
    assert_same(make_case(width, n_heads, vectors=vectors, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("act", get_args(ActivationName))
def test_activation(act, dtype):
    case = make_case(24, 3, act=act, dtype=dtype, n_edges=60)
    case.query[1] *= 5.0  # also where activations are all but linear or flat
    assert_same(case)


@pytest.mark.parametrize("act", get_args(ActivationName))
def test_scores_beyond_the_range_of_exponentials_are_numbers(act):
    case = make_case(8, 2, act=act, dtype=torch.float32)
    case.query *= 1e3
    for result in values_and_gradients(case.run_fused, case):
        assert torch.isfinite(result).all()


def test_uniform_knots():
    assert_same(make_case(stretch=0.0))


def test_many_edges_fill_several_blocks():
    assert_same(make_case(n_local=50, n_ghost=30, n_edges=3000, seed=3))


@pytest.mark.parametrize("act", ["silu", "tanh"])
@pytest.mark.parametrize("vectors", [True, False])
def test_gradcheck(vectors, act):
    case = make_case(6, 2, vectors=vectors, act=act, n_local=3, n_ghost=1, n_edges=7, seed=5)
    inputs = [x.requires_grad_(True) for x in case.inputs]
    assert torch.autograd.gradcheck(case.run_fused, inputs, eps=1e-6, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize(("n_local", "n_ghost"), [(0, 0), (4, 0), (0, 5), (4, 2)])
def test_no_edges(n_local, n_ghost):
    case = make_case(n_local=n_local, n_ghost=n_ghost, n_edges=0)
    results = values_and_gradients(case.run_fused, case)
    assert results[4].shape == (0, 3)
    # what is left is what local atoms make of themselves
    assert_same(case)
    assert torch.count_nonzero(results[3][n_local:]) == 0


@pytest.mark.parametrize("wanted", range(3))
def test_gradients_are_made_only_where_wanted(wanted):
    case = make_case()
    inputs = [x.detach() for x in case.inputs]
    inputs[wanted].requires_grad_(True)
    total = sum(out.sum() for out in case.run_fused(*inputs))
    (gradient,) = torch.autograd.grad([total], [inputs[wanted]])
    assert gradient.shape == inputs[wanted].shape
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("output", [0, 1])
def test_one_of_the_outputs_alone(output):
    case = make_case()
    gradients = []
    for run in (case.run_fused, case.run_plain):
        inputs = [x.detach().requires_grad_(True) for x in case.inputs]
        total = run(*inputs)[output].square().sum()
        gradients.append(torch.autograd.grad([total], inputs, materialize_grads=True))
    for name, actual, expected in zip(NAMES[2:], *gradients, strict=True):
        assert_close(actual, expected, name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_do_not_depend_on_threads(dtype):
    case = make_case(n_local=80, n_edges=4000, dtype=dtype)
    results = []
    try:
        for n_threads in (1, 2, 2):
            torch.set_num_threads(n_threads)
            results.append(values_and_gradients(case.run_fused, case))
    finally:
        torch.set_num_threads(1)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)


def test_nothing_beyond_the_cutoff():
    case = make_case(n_local=1, n_ghost=1, n_edges=1)
    case.edge_index = torch.tensor([[0], [1]])
    cutoff = float(CUTOFFS[case.species[0], case.species[1]])
    case.edge_vec = torch.tensor([[0.0, cutoff + 0.01, 0.0]], dtype=torch.float64)
    beyond = values_and_gradients(case.run_fused, case)
    assert torch.count_nonzero(beyond[4]) == 0
    case.edge_index, case.edge_vec = case.edge_index[:, :0], case.edge_vec[:0]
    for a, b in zip(beyond[:4], values_and_gradients(case.run_fused, case)[:4], strict=True):
        assert torch.equal(a, b)


def test_atoms_on_top_of_each_other_give_numbers():
    case = make_case(n_local=1, n_ghost=1, n_edges=1)
    case.edge_vec = torch.zeros(1, 3, dtype=torch.float64)
    for result in values_and_gradients(case.run_fused, case):
        assert torch.isfinite(result).all()


@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_every_instruction_set_gives_the_same(capability):
    script = (
        "import torch\n"
        "from tests.ops.attentions import assert_same, make_case\n"
        "for dtype in (torch.float32, torch.float64):\n"
        "    for width, n_heads in ((4, 4), (12, 3), (32, 4), (32, 2), (40, 2)):\n"
        "        for act in ('silu', 'mish', 'ssp', 'gelu'):\n"
        "            assert_same(make_case(width, n_heads, act=act, dtype=dtype))\n"
    )
    run_with(capability, script)


def test_shapes_without_data():
    case = make_case()
    case.fused.to("meta")
    case.edge_index, case.species = case.edge_index.to("meta"), case.species.to("meta")
    scalars, vectors = case.run_fused(*(x.to("meta") for x in case.inputs))
    assert scalars.device.type == vectors.device.type == "meta"
    assert scalars.shape == (6, 32)
    assert vectors.shape == (6, 3, 32)
