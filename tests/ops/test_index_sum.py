# SPDX-License-Identifier: GPL-2.0-or-later
"""egraff::index_sum is torch's index_add into zeros, in an order that threads do not change."""

from __future__ import annotations

import pytest
import torch

from egraff import ops

ops.load()
index_sum = torch.ops.egraff.index_sum


def random(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("shape", "dim", "size"),
    [
        ((50,), 0, 7),
        ((50, 33), 0, 7),
        ((50, 4, 5), 0, 60),
        ((6, 50, 5), 1, 9),
        ((3, 6, 50), 2, 9),
        ((0, 6, 5), 1, 9),
        ((0, 5), 0, 0),
        ((0, 5), 0, 4),
        ((50, 0), 0, 4),
    ],
)
def test_is_index_add(shape, dim, size, dtype):
    source = random(*shape, dtype=dtype)
    index = torch.arange(shape[dim]) * 5 % max(size, 1)
    expected = torch.zeros([*shape[:dim], size, *shape[dim + 1 :]], dtype=dtype)
    expected.index_add_(dim, index, source)
    assert torch.allclose(index_sum(source, dim, index, size), expected)
    strided = source.transpose(0, -1).contiguous().transpose(0, -1)
    assert torch.equal(index_sum(strided, dim, index, size), index_sum(source, dim, index, size))


@pytest.mark.parametrize(("shape", "dim"), [((4000, 64), 0), ((400, 60, 8), 1)])
def test_same_bits_on_any_number_of_threads(shape, dim):
    source = random(*shape)
    index = torch.randint(0, 11, (shape[dim],), generator=torch.Generator().manual_seed(1))
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(index_sum(source, dim, index, 11))
    torch.set_num_threads(1)
    assert all(torch.equal(results[0], other) for other in results[1:])


def test_shapes_for_the_compiler():
    arguments = (random(6, 50, 5), 1, torch.zeros(50, dtype=torch.int64), 9)
    torch.library.opcheck(index_sum, arguments, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((1, torch.zeros(5, dtype=torch.int64), 9), "dim: expected 0 <= dim < 1, got 1"),
        ((-1, torch.zeros(5, dtype=torch.int64), 9), "dim: expected 0 <= dim < 1, got -1"),
        ((0, torch.zeros(5), 9), r"index: expected int64 \[k\], got Float \[5\]"),
        ((0, torch.zeros(4, dtype=torch.int64), 9), "index: expected 5 places, .* got 4"),
        ((0, torch.full((5,), 9), 9), "index: expected 0 <= index < 9, got 9"),
        ((0, torch.full((5,), -1), 9), "index: expected 0 <= index < 9, got -1"),
    ],
)
def test_refuses(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        index_sum(random(5), *arguments)


def test_refuses_other_types_of_numbers():
    index = torch.zeros(5, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"source: expected float32 or float64, got Half \[5\]"):
        index_sum(torch.zeros(5, dtype=torch.float16), 0, index, 9)
