# SPDX-License-Identifier: GPL-2.0-or-later
"""Linear forms: what they stand for, and when they are stored."""

from __future__ import annotations

import torch

from egraff.fusion.edge_program import DENSE, TABLE, EdgeProgram, LinearForm, side_by_side
from egraff.nn.radial import RadialNetwork


def values_of(form: LinearForm, sources: dict[int, torch.Tensor]) -> torch.Tensor:
    """Evaluate a form on rows of its sources."""
    rows = next(iter(sources.values())).shape[0]
    total = torch.zeros(rows, form.width, dtype=torch.float64)
    for source, matrix in form.parts.items():
        total += sources[source][:, : matrix.shape[0]] @ matrix
    return total


def forms():
    torch.manual_seed(2)
    sources = {TABLE: torch.randn(4, 3).double(), 7: torch.randn(4, 6).double()}
    a = LinearForm({TABLE: torch.randn(3, 5).double()}, 5)
    b = LinearForm({TABLE: torch.randn(3, 5).double(), 7: torch.randn(4, 5).double()}, 5)
    return a, b, sources


def test_forms_are_the_numbers_they_stand_for():
    a, b, sources = forms()
    x, y = values_of(a, sources), values_of(b, sources)
    matrix = torch.randn(5, 2).double()
    for form, expected in (
        (a + b, x + y),
        (b + a, x + y),
        (b.times(matrix), y @ matrix),
        (b.columns(1, 4), y[:, 1:4]),
        (side_by_side(a, b), torch.cat([x, y], dim=1)),
    ):
        torch.testing.assert_close(values_of(form, sources), expected)


def program() -> EdgeProgram:
    return EdgeProgram(lanes=8, n_functions=3, l_max=1, n_channels=2)


def test_networks_without_nonlinearities_make_no_steps():
    network = RadialNetwork([3, 4, 2], nonlinearity=None).double()
    made = program()
    x = torch.randn(5, 3).double()
    form = made.network(made.functions, network)
    torch.testing.assert_close(values_of(form, {TABLE: x}), network(x))
    assert not made.steps
    assert not made.buffers


def test_rows_and_panels_are_padded():
    made = program()
    source = made.buffer(made.functions)
    form = LinearForm({source: torch.arange(8 * 35).view(8, 35).double()}, 35)
    dest = made.buffer(form)
    assert made.buffers == [(8, 0), (40, -1)]
    assert made.steps == [(DENSE, source, dest, 0, 8 * 40, 8)]
    first, second = made.matrices[: 8 * 32].view(8, 32), made.matrices[8 * 32 : 8 * 40].view(8, 8)
    assert torch.equal(first, form.parts[source][:, :32])
    assert torch.equal(second[:, :3], form.parts[source][:, 32:])
    assert not second[:, 3:].any()
    assert torch.equal(made.matrices[8 * 40 :].view(40, 8)[:35], form.parts[source].T)


def test_a_form_is_stored_where_that_saves_operations():
    made = program()
    source = made.buffer(made.functions)
    form = LinearForm({source: torch.randn(8, 4).double()}, 4)
    # 8 x n without, 8 x 4 + 4 x n with a buffer between
    assert made.stored_if_cheaper(form, 8) is form
    stored = made.stored_if_cheaper(form, 9)
    assert list(stored.parts) == [len(made.buffers) - 1]
    assert stored.width == 4
