# SPDX-License-Identifier: GPL-2.0-or-later
"""What the operator of edge convolutions says when it is called wrongly."""

from __future__ import annotations

import re

import pytest
import torch
from e3nn import o3

from egraff.errors import EgraffError
from egraff.fusion.convolution import FusedEdgeConvolution
from egraff.fusion.distance_tables import PairTables
from egraff.fusion.radial_grid import Grid
from egraff.nn.convolution import EdgeConvolution
from tests.ops.convolutions import CUTOFFS, make_case, value_and_gradients
from tests.ops.wrong_calls import long, number, replaced


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced("x", torch.zeros(9)), "x: expected float32 or float64 [n_nodes, width], got"),
        (
            replaced("edge_vec", torch.zeros(40, 2).double()),
            "edge_vec: expected [n_edges, 3] of the type of x, got Double [40, 2]",
        ),
        (
            replaced("edge_index", long(2, 39)),
            "edge_index: expected int64 [2, n_edges] as in edge_vec, got Long [2, 39]",
        ),
        (
            replaced("species", long(8)),
            "species: expected int64 [n_nodes] as in x, got Long [8]",
        ),
        (
            replaced("n_local", 10),
            "n_local: expected 0 <= n_local <= 9 (the rows of x), got 10",
        ),
        (
            replaced("tables", torch.zeros(1, 2, 3, 3, 8)),
            "tables: expected [n_tables, n_chunks, n_knots, 4, 64 bytes of channels]",
        ),
        (
            replaced("pair_scale", torch.zeros(2, 3).double()),
            "pair_scale: expected float64 [n_species, n_species], got Double [2, 3]",
        ),
        (
            replaced("pair_table", long(3, 3)),
            "pair_table: expected int64 [n_species, n_species] as in pair_scale, got Long [3, 3]",
        ),
        (
            replaced("pair_table", long(2, 2) + 1),
            "pair_table: expected 0 <= table < 1, got 1",
        ),
        (replaced("paths", long(4, 7)), "paths: expected int64 [n_paths, 8], got Long [4, 7]"),
        (
            replaced("coupling_value", torch.zeros(3)),
            "coupling_value: expected float64 [n_couplings], got Float [3]",
        ),
        (
            replaced("coupling_index", long(5, 3)),
            "coupling_index: expected int64 [n_couplings, 3] as in coupling_value, got Long [5, 3]",
        ),
        (
            number("paths", 0, 2, 4),
            "paths: expected orders from 0 to 3, got 4 x 0 -> 0\n  fix: export the model",
        ),
        (
            number("paths", 0, 1, 500),
            "paths: expected paths that fit x, the output and the couplings, got [0, 500, ",
        ),
        (
            replaced("species", torch.full((9,), 2)),
            "species: expected 0 <= species < 2, got 2 at node 0",
        ),
    ],
)
def test_argument(change, message):
    case = make_case()
    change(case)
    with pytest.raises(ValueError, match=re.escape(message)):
        case.run_fused(case.x, case.edge_vec)


def test_centres_out_of_order():
    case = make_case()
    case.edge_index = case.edge_index.flip(1)
    with pytest.raises(
        ValueError,
        match=r"expected centres in ascending order, 0 <= i < n_local = 6, got \d at edge \d+",
    ):
        case.run_fused(case.x, case.edge_vec)


def test_neighbour_out_of_range():
    case = make_case()
    case.edge_index[1, 4] = 9
    with pytest.raises(
        ValueError, match=r"expected neighbours 0 <= j < n_nodes = 9, got 9 at edge 4"
    ):
        case.run_fused(case.x, case.edge_vec)


def test_width_of_a_map_without_its_tensors():
    case = make_case()
    f = case.fused
    with pytest.raises(ValueError, match=r"after: expected nothing, or with .* 4 tensors, got 0\n"):
        torch.ops.egraff.edge_convolution(
            case.x, case.edge_vec, case.edge_index, case.species, f.tables, f.pair_scale,
            f.pair_table, f.paths, f.coupling_index, f.coupling_value, f.grid_start, 6,
            f.width_out, f.grid_stretch, False, [], 4, 0,
        )  # fmt: skip


def test_gradient_of_another_shape():
    case = make_case()
    f = case.fused
    with pytest.raises(
        ValueError, match=r"edge_convolution_backward: gradient: expected Double \[6, \d+\], got"
    ):
        torch.ops.egraff.edge_convolution_backward(
            torch.zeros(6, 2).double(), case.x, case.edge_vec, case.edge_index, case.species,
            f.tables, f.pair_scale, f.pair_table, f.paths, f.coupling_index, f.coupling_value,
            f.grid_start, 6, f.width_out, f.grid_stretch, False, [], 0, 0, True, True,
        )  # fmt: skip


def test_channels_that_do_not_fill_cache_lines():
    case = make_case()
    case.fused.channels_last = True
    with pytest.raises(
        ValueError,
        match=r"channels_last: expected a multiple of 8 channels in each path, got",
    ):
        case.run_fused(case.x, case.edge_vec)


def test_map_of_sums_that_are_not_channels_last():
    case = make_case()
    case.fused.width_after = 4
    with pytest.raises(
        ValueError,
        match=r"after: expected nothing, or with channels_last 4 tensors, got 4\n"
        r"  fix: export the model again",
    ):
        case.run_fused(case.x, case.edge_vec)


def test_no_second_derivative():
    case = make_case()
    x = case.x.requires_grad_(True)
    vec = case.edge_vec.requires_grad_(True)
    (gradient,) = torch.autograd.grad(
        [case.run_fused(x, vec).square().sum()], [vec], create_graph=True
    )
    with pytest.raises(
        NotImplementedError,
        match=r"edge_convolution has no second derivative: fused models are for inference.\n"
        r"  fix: train with the plain model, or export it with --no-fuse",
    ):
        gradient.sum().backward()
    # without create_graph, the first derivative is unaffected
    assert value_and_gradients(case.run_fused, case)[2].abs().max() > 0


def test_order_without_kernels():
    plain = EdgeConvolution(
        o3.Irreps("2x0e"), o3.Irreps.spherical_harmonics(4), o3.Irreps("0e + 4e")
    )
    knots = torch.zeros(17, 3, plain.n_weights, dtype=torch.float64)
    tables = PairTables(Grid(), [knots], torch.zeros(2, 2, dtype=torch.int64), 1.0 / CUTOFFS)
    with pytest.raises(
        EgraffError,
        match=r"expected features and harmonics up to l = 3, got l = 4, for which there is no "
        r"fused convolution\n  fix: export with --no-fuse",
    ):
        FusedEdgeConvolution(plain, tables, dtype=torch.float32)


def test_kink_beyond_the_tables():
    case = make_case()
    case.fused.grid_kink = 10**6
    with pytest.raises(
        ValueError, match=r"grid_kink: expected an interval of the tables, .* or 0, got 1000000\n"
    ):
        case.run_fused(case.x, case.edge_vec)
