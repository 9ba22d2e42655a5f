# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate: the operator against the modules of e3nn and of Equiformer, and its messages."""

from __future__ import annotations

import re

import pytest
import torch
from e3nn import o3
from e3nn.nn import Gate
from torch import Tensor

from egraff.fusion.gate import FusedGate
from egraff.nn.equivariant import SwishGate
from tests.ops.gates import GATES, SILU, TANH, compare, compare_modules, random, value_and_gradient
from tests.ops.instruction_sets import run_with

OP = torch.ops.egraff.gate
# one block of scalars, and one of three components with its gates
BLOCKS = torch.tensor([[0, 0, 2, 1, -1, 0], [4, 2, 2, 3, 2, 0]])
FACTORS = torch.tensor([1.5, 1.5], dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [0, 1, 50])
@pytest.mark.parametrize("parts", GATES)
def test_equals_the_gate_of_e3nn(parts, n, dtype):
    compare(parts, n, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [0, 50])
@pytest.mark.parametrize("irreps", ["5x0e + 4x1o + 3x2e", "6x0e", "16x0e + 3x0o + 33x1e + 1x3o"])
def test_equals_the_gate_of_equiformer(irreps, n, dtype):
    plain = SwishGate(o3.Irreps(irreps))
    compare_modules(FusedGate.of_equiformer(plain), plain, plain.irreps_out, n, dtype)


def test_only_the_input_is_kept():
    kept = []
    x = random(4, 10)
    with torch.autograd.graph.saved_tensors_hooks(lambda y: kept.append(y) or y, lambda y: y):
        OP(x, BLOCKS, FACTORS, 8)
    assert [y.data_ptr() for y in kept] == [y.data_ptr() for y in (x, BLOCKS, FACTORS)]


def test_gradcheck():
    assert torch.autograd.gradcheck(lambda x: OP(x, BLOCKS, FACTORS, 8), random(3, 10))


def test_shapes_without_data():
    assert OP(random(5, 10).to("meta"), BLOCKS, FACTORS, 8).shape == (5, 8)


@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_other_instruction_sets(capability):
    script = (
        "from tests.ops.gates import GATES, compare\n"
        "for parts in GATES:\n"
        "    compare(parts, 9, torch.float32)\n"
    )
    run_with(capability, "import torch\n" + script)


def test_results_do_not_depend_on_threads():
    x = random(333, 10)
    results = []
    try:
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            results.append(value_and_gradient(lambda x: OP(x, BLOCKS, FACTORS, 8), x))
    finally:
        torch.set_num_threads(1)
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


def changed(row: int, column: int, value: int) -> Tensor:
    blocks = BLOCKS.clone()
    blocks[row, column] = value
    return blocks


def changed_row(row: int, column: int, value: int) -> str:
    return f"{changed(row, column, value)[row].tolist()} in row {row}"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            (torch.zeros(4), BLOCKS, FACTORS),
            "x: expected float32 or float64 [n, width], got Float [4]",
        ),
        (
            (torch.zeros(4, 10), BLOCKS, FACTORS.float()),
            "factors: expected float64 [n_blocks], got Float [2]",
        ),
        (
            (torch.zeros(4, 10), BLOCKS[:, :5], FACTORS),
            "blocks: expected int64 [n_blocks, 6] as in factors, got Long [2, 5]",
        ),
        *(
            (
                (torch.zeros(4, 10), changed(*change), FACTORS),
                "blocks: expected blocks and gates that are each column of x (10) and of the "
                f"result (8) once, got {got}\n  fix: export the model again",
            )
            for change, got in {
                (0, 0, 9): changed_row(0, 0, 9),
                (0, 1, -2): changed_row(0, 1, -2),
                (0, 2, 3): "column 2 of x 2 times",
                (1, 3, 2): "column 8 of x 0 times",
                (1, 4, 1): "column 1 of x 2 times",
                (1, 5, 6): changed_row(1, 5, 6),
            }.items()
        ),
    ],
)
def test_argument(inputs, message):
    with pytest.raises(ValueError, match=re.escape(f"egraff::gate: {message}")):
        OP(*inputs, 8)


def test_gradient_of_another_shape():
    x = random(4, 10)
    with pytest.raises(
        ValueError,
        match=re.escape("gate: gradient: expected [n, width_out] of the type of x, got Double [8]"),
    ):
        torch.ops.egraff.gate_backward(x.new_zeros(8), x, BLOCKS, FACTORS)


def test_no_second_derivative():
    x = random(4, 10)
    value = OP(x, BLOCKS, FACTORS, 8)
    (gradient,) = torch.autograd.grad([value.square().sum()], [x], create_graph=True)
    with pytest.raises(
        NotImplementedError,
        match=r"gate has no second derivative: fused models are for inference.\n"
        r"  fix: train with the plain model, or export it with --no-fuse",
    ):
        gradient.sum().backward()


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        (
            Gate("4x0e", [torch.relu], "", [], ""),
            "expected one of SILU, TANH, MISH, GELU, SSP, SIGMOID, got <built-in method relu",
        ),
        (
            Gate("", [], "2x0e + 1x0e", [SILU, TANH], "3x1o"),
            "expected one nonlinearity for the gates of 3x1o, got {",
        ),
    ],
)
def test_gates_without_an_operator(plain, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        FusedGate.of_e3nn(plain)
