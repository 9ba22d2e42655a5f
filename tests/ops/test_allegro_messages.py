# SPDX-License-Identifier: GPL-2.0-or-later
"""What the operator of Allegro says when it is called wrongly."""

from __future__ import annotations

import functools
import re

import pytest
import torch

from egraff import fusion
from egraff.errors import EgraffError
from tests.ops import wrong_calls
from tests.ops.allegros import make_case
from tests.ops.wrong_calls import long

# columns of steps, buffers and products
SOURCE, A, C = 1, 3, 5


# the part of a case that holds the program
replaced = functools.partial(wrong_calls.replaced, part="fused.edges")
number = functools.partial(wrong_calls.number, part="fused.edges")


def one_more_buffer(index):
    """Return a change that adds a buffer, at this index, to the sixteen of the program."""

    def change(case):
        edges = case.fused.edges
        first, last = edges.edge_buffers[:index], edges.edge_buffers[index:]
        edges.edge_buffers = torch.cat([first, torch.tensor([[8, 0]]), last])
        edges.steps[-1, 2] = 15 if index == 16 else 16

    return change


def pattern(message):
    """Return what matches it, with any numbers of a table in place of ROW."""
    return re.escape(message).replace("ROW", r"\[-?\d+(, -?\d+)*\]")


def do_not_fit(name, row):
    return f"{name}: expected rows that fit the other arguments, got ROW in row {row}\n  fix: "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            replaced("edge_vec", torch.zeros(40, 3).half()),
            "edge_vec: expected float32 or float64 [n_edges, 3], got Half [40, 3]",
        ),
        (
            replaced("edge_vec", torch.zeros(40, 2).double()),
            "edge_vec: expected float32 or float64 [n_edges, 3], got Double [40, 2]",
        ),
        (
            replaced("edge_index", long(2, 39)),
            "edge_index: expected int64 [2, n_edges] as in edge_vec, got Long [2, 39]",
        ),
        (replaced("species", long(8, 1)), "species: expected int64 [n_nodes], got Long [8, 1]"),
        (replaced("n_local", 10), "n_local: expected 0 <= n_local <= 9 (n_nodes), got 10"),
        (
            replaced("tables", torch.zeros(1, 2, 3, 3, 8)),
            "tables: expected [n_tables, n_knots, n_chunks, 4, 64 bytes of columns] of the type",
        ),
        (
            replaced("pair_scale", torch.zeros(2, 3).double()),
            "pair_scale: expected float64 [n_species, n_species], got Double [2, 3]",
        ),
        (
            replaced("pair_table", long(3, 3)),
            "pair_table: expected int64 [n_species, n_species] as in pair_scale, got Long [3, 3]",
        ),
        (replaced("pair_table", long(2, 2) + 4), "pair_table: expected 0 <= table < 4, got 4"),
        (replaced("l_max", -1), "l_max: expected 0 <= l_max < 32, got -1"),
        (replaced("edge_buffers", long(2)), "buffers: expected int64 [n_buffers, 2], got Long [2]"),
        (replaced("steps", long(2, 5)), "steps: expected int64 [n_steps, 6], got Long [2, 5]"),
        (replaced("matrices", torch.zeros(3)), "matrices: expected [n] of the type of edge_vec"),
        (
            replaced("products", long(2, 6)),
            "products: expected int64 [n_products, 7], got Long [2, 6]",
        ),
        (replaced("entries", long(2)), "entries: expected int64 [n_entries, 2], got Long [2]"),
        (replaced("terms", long(2, 3)), "terms: expected int64 [n_terms, 2], got Long [2, 3]"),
        (
            replaced("term_weights", torch.zeros(2, 5).double()),
            "term_weights: expected [n_terms, channels] of the type of edge_vec, channels a",
        ),
        (number("edge_buffers", 1, 0, 12), do_not_fit("buffers", 1)),
        (number("edge_buffers", 0, 1, 1000), do_not_fit("buffers", 0)),
        (number("products", 1, 3, 1000), do_not_fit("products", 1)),
        (number("entries", 2, 0, 9), do_not_fit("entries", 2)),
        (number("entries", 2, 1, -1), do_not_fit("entries", 2)),
        (number("terms", 0, 0, 1000), do_not_fit("terms", 0)),
        (number("terms", 3, 1, 9), do_not_fit("terms", 3)),
        # the first step is a product, the second a matrix, the third a nonlinearity
        (number("steps", 0, 0, 3), do_not_fit("steps", 0)),
        (number("steps", 0, A, 0), do_not_fit("steps", 0)),
        (number("steps", 0, C, 0), do_not_fit("steps", 0)),
        (number("steps", 1, SOURCE, 99), do_not_fit("steps", 1)),
        (number("steps", 1, A, 100000), do_not_fit("steps", 1)),
        (number("steps", 1, C, 3), do_not_fit("steps", 1)),
        (number("steps", 2, A, 5), do_not_fit("steps", 2)),
        (replaced("edge_buffers", torch.tensor([[8, -1]])), do_not_fit("steps", 0)),
        # the third step is made to read what the fourth is to write, or what another one read
        (number("steps", 2, SOURCE, 5), do_not_fit("steps", 2)),
        (number("steps", 2, SOURCE, 2), do_not_fit("steps", 2)),
        # the last step leads to a buffer that is not the last one; a buffer that nothing reads
        (one_more_buffer(16), do_not_fit("steps", 15)),
        (one_more_buffer(15), do_not_fit("buffers", 15)),
        (
            replaced("species", torch.full((9,), 2)),
            "species: expected 0 <= species < 2, got 2 at node 0",
        ),
    ],
)
def test_argument(change, message):
    case = make_case()
    change(case)
    with pytest.raises(ValueError, match=pattern("egraff::allegro_energy: " + message)):
        case.fused.edges(case.edge_vec, case.species, case.edge_index, case.n_local)


def test_a_program_without_result():
    case = make_case()
    case.fused.edges.steps = long(0, 6)
    with pytest.raises(
        ValueError,
        match=r"egraff::allegro_energy: steps: expected that the last buffer is written, got none "
        r"that does\n  fix: export the model again",
    ):
        case.run(case.fused, case.edge_vec)


def test_centres_out_of_order():
    case = make_case()
    case.edge_index = case.edge_index.flip(1)
    with pytest.raises(
        ValueError,
        match=r"egraff::allegro_energy: edge_index: expected centres in ascending order, "
        r"0 <= i < n_local = 6, got \d at edge \d+",
    ):
        case.run(case.fused, case.edge_vec)


def test_neighbour_out_of_range():
    case = make_case()
    case.edge_index[1, 4] = 9
    with pytest.raises(
        ValueError,
        match=r"egraff::allegro_energy: edge_index: expected neighbours 0 <= j < n_nodes = 9, got "
        r"9 at edge 4",
    ):
        case.run(case.fused, case.edge_vec)


def test_no_second_derivative():
    case = make_case()
    vec = case.edge_vec.requires_grad_(True)
    energy = case.run(case.fused, vec)
    (gradient,) = torch.autograd.grad([energy.square().sum()], [vec], create_graph=True)
    with pytest.raises(
        NotImplementedError,
        match=r"egraff::allegro_energy has no second derivative: fused models are for inference.\n"
        r"  fix: train with the plain model, or export it with --no-fuse",
    ):
        gradient.sum().backward()


def test_both_at_once_are_not_differentiable():
    case = make_case()
    edges = case.fused.edges
    vec = case.edge_vec.requires_grad_(True)
    energy, gradient = torch.ops.egraff.allegro_energy_and_gradient(
        vec, case.edge_index, case.species, edges.tables, edges.pair_scale, edges.pair_table,
        edges.edge_buffers, edges.steps, edges.matrices, edges.products, edges.entries,
        edges.terms, edges.term_weights, edges.grid_start, edges.l_max, case.n_local,
    )  # fmt: skip
    expected = edges(vec, case.species, case.edge_index, case.n_local)
    (by_vec,) = torch.autograd.grad([expected.sum()], [vec])
    assert torch.equal(energy, expected)
    assert torch.equal(gradient, by_vec)
    with pytest.raises(
        NotImplementedError,
        match=r"egraff::allegro_energy_and_gradient is not differentiable.\n"
        r"  fix: call egraff::allegro_energy, whose backward gives the derivative",
    ):
        energy.sum().backward()


def test_refuses_tables_that_fill_the_memory(monkeypatch):
    monkeypatch.setattr(fusion, "MAX_TABLE_BYTES", 1000)
    with pytest.raises(
        EgraffError,
        match=r"expected radial tables of at most 1000 bytes, got \S+ KiB or more for 4 "
        r"pairs of elements in two_body\n"
        r"  fix: export with --no-fuse or, from float64, with --dtype float32",
    ):
        fusion.fuse(make_case().plain)


def test_tables_for_many_pairs_hold_the_two_body_network_alone(monkeypatch):
    case = make_case()
    full = fusion.fuse(case.plain).tables[0]["bytes"]
    monkeypatch.setattr(fusion, "MAX_TABLE_BYTES", full - 1)
    fused = fusion.fuse(case.plain)
    # ten functions, padded to two cache lines, in place of all that is linear in them
    assert fused.tables[0]["bytes"] < 0.5 * full
    expected = case.value_and_gradient(case.plain)
    for ours, plain in zip(case.value_and_gradient(fused.model), expected, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)
