# SPDX-License-Identifier: GPL-2.0-or-later
"""What the operator of Equiformer's attention says when it is called wrongly."""

from __future__ import annotations

import re

import pytest
import torch

from tests.ops.graph_attentions import make_case
from tests.ops.wrong_calls import long, number, replaced

EXPORT_AGAIN = "\n  fix: export the model again"


def pattern(message):
    """Return what matches it, with any numbers of a table in place of ROW."""
    return re.escape(message).replace("ROW", r"\[-?\d+(, -?\d+)*\]")


def do_not_fit(name, row):
    return (
        f"{name}: expected rows that fit the other arguments, got ROW in row {row}" + EXPORT_AGAIN
    )


def call(case):
    """Call the operator."""
    return case.run_fused(case.x, case.edge_vec)


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
            replaced("edge_vec", torch.zeros(40, 3)),
            "source: expected [n_nodes, width] of the type of edge_vec, got Double",
        ),
        (
            replaced("edge_index", long(2, 39)),
            "edge_index: expected int64 [2, n_edges] as in edge_vec, got Long [2, 39]",
        ),
        (
            replaced("edge_index", long(2, 40) - 1),
            "edge_index: expected centres in ascending order, 0 <= i < n_local = 6, got -1",
        ),
        (
            replaced("species", long(8)),
            "species: expected int64 [n_nodes] as in source, got Long [8]",
        ),
        (replaced("species", long(9) + 2), "species: expected 0 <= species < 2, got 2 at node 0"),
        (
            replaced("table", torch.zeros(1, 2, 2, 2, 8).double()),
            "tables: expected [n_tables, n_knots, n_chunks, 4, 64 bytes of columns] of the type",
        ),
        (
            replaced("n_functions", 16),
            "n_functions: expected 1 or more, and with the envelope no more than the 16 columns of "
            "the tables, got 16",
        ),
        (
            replaced("pair_scale", torch.zeros(2, 3).double()),
            "pair_scale: expected float64 [n_species, n_species], got Double [2, 3]",
        ),
        (
            replaced("pair_table", long(3, 3)),
            "pair_table: expected int64 [n_species, n_species] as in pair_scale, got Long [3, 3]",
        ),
        (replaced("pair_table", long(2, 2) + 4), "pair_table: expected 0 <= table < 1, got 4"),
        (replaced("blocks", long(2, 3)), "blocks: expected int64 [n_blocks, 2], got Long [2, 3]"),
        (
            replaced("inner_groups", long(2)),
            "inner_groups: expected int64 [n_groups, 7], got Long [2]",
        ),
        (
            replaced("term_values", torch.zeros(1).double()),
            "term_values: expected float64 [n_terms] as in terms, got Double [1]",
        ),
        (
            replaced("matrices", torch.zeros(3)),
            "matrices: expected [n] of the type of edge_vec, got Float [3]",
        ),
        (number("blocks", 1, 0, 2), do_not_fit("blocks", 1)),
        (number("blocks", 1, 1, 16), "source: expected the width "),
        (number("couplings", 2, 0, 4), do_not_fit("couplings", 2)),
        (number("terms", 0, 1, 16), do_not_fit("terms", 0)),
        (number("inner_groups", 1, 5, 10**9), do_not_fit("inner_groups", 1)),
        (number("inner_groups", 1, 2, 0), do_not_fit("inner_groups", 1)),
        (number("outer_groups", 0, 1, 7), do_not_fit("outer_groups", 0)),
        (number("inner_paths", 1, 0, 99), do_not_fit("inner_paths", 1)),
        (number("outer_paths", 0, 3, 8), do_not_fit("outer_paths", 0)),
        (
            replaced("direction", torch.zeros(25).double()),
            "n_heads: expected heads with a multiple of 8 scores each, got 3 heads and 25 scores",
        ),
        (
            replaced("bias", torch.zeros(8).double()),
            "bias: expected 72 scores, scalars and gates, got 8",
        ),
        (
            replaced("value_bias", torch.zeros(8).double()),
            "value_bias: expected one number for each even scalar of each head, got 8",
        ),
        (replaced("width_out", 5), "width_out: expected "),
    ],
)
def test_arguments_are_checked(change, message):
    case = make_case()
    change(case)
    with pytest.raises(
        (ValueError, RuntimeError), match=pattern("egraff::graph_attention: " + message)
    ):
        call(case)


def test_too_few_constants():
    case = make_case()
    constants = case.fused.constants()[:-1]
    case.fused.constants = lambda: constants
    with pytest.raises(ValueError, match=r"constants: expected 15 tensors, got 14\n  fix:"):
        call(case)


def test_paths_that_leave_columns_out():
    case = make_case()
    case.fused.outer_paths = case.fused.outer_paths[:-1]
    with pytest.raises(ValueError, match=r"outer_paths: expected paths that fill the \d+ channels"):
        call(case)


def test_gradient_of_another_shape():
    case = make_case()
    attention = case.fused
    with pytest.raises(
        ValueError, match=r"_backward: gradient: expected Double \[6, .*, got Float"
    ):
        torch.ops.egraff.graph_attention_backward(
            torch.zeros(6, 2),
            attention.merge_neighbour(case.x),
            attention.merge_centre(case.x[:6]),
            case.edge_vec,
            case.edge_index,
            case.species,
            attention.constants(),
            attention.n_functions,
            attention.n_heads,
            attention.width_out,
            attention.negative_slope,
            attention.grid_start,
            attention.grid_stretch,
        )


def test_there_is_no_second_derivative():
    case = make_case()
    edge_vec = case.edge_vec.requires_grad_(True)
    (first,) = torch.autograd.grad(
        [case.run_fused(case.x, edge_vec).square().sum()], [edge_vec], create_graph=True
    )
    with pytest.raises(NotImplementedError, match="has no second derivative"):
        torch.autograd.grad([first.square().sum()], [edge_vec])
