"""Operation counts against counts by hand."""

import flops
import pytest
import timing

from egraff.fusion import fuse
from egraff.models import build


@pytest.fixture(scope="module")
def counted():
    """Per atom: two layers of 16 scalars, no angular momentum at all, in 28 edges."""
    options = {"elements": ["Si"], "r_max": timing.R_MAX, "avg_num_neighbours": 28.0}
    model = build(
        "nequip", n_layers=2, l_max=0, n_features=16, parity=False, radial_width=8, **options
    )
    return flops.count_model(fuse(model.eval()).model, timing.silicon(64))


def test_an_edge_convolution_of_scalars(counted):
    operations, unknown = counted
    # one path and harmonic; 16 channels of a table value, a product with the features, one with the
    # harmonic and its sum; then a coupling and a matrix for each atom
    per_atom = 16 * 2 + 2 * 16 * 16
    per_edge = 16 * (flops.TABLE + 1 + 2)
    assert operations["edge_convolution"] == 2 * (28 * per_edge + per_atom)
    # by edge vectors in both layers; features depend on positions from the second layer on
    per_edge = 16 * (2 * flops.TABLE + 4 + 3 + 2)
    assert operations["edge_convolution_backward"] == (2 * (28 * per_edge + per_atom) + 28 * 16 * 2)
    assert not unknown


def test_linear_maps_of_scalars(counted):
    operations, _ = counted
    matrix = 2 * 16 * 16
    assert operations["irreps_linear"] > 0
    # all maps are multiples of one 16 x 16 matrix, or end in the energy
    assert operations["irreps_linear"] % (2 * 16) == 0
    assert operations["irreps_linear"] > 2 * matrix


def test_a_symmetric_contraction():
    import torch

    # 5 atoms, 8 channels; 3 monomials, 4 terms on 2 paths
    x, weights = torch.zeros(5, 24), torch.zeros(1, 2, 8)
    products, paths, terms = torch.zeros(3, 2), torch.zeros(2, 4), torch.zeros(4, 2)
    arguments = (x, None, weights, None, products, paths, terms)
    assert flops.symmetric_contraction(*arguments) == 5 * 8 * (3 + 8 + 4)
    assert flops.symmetric_contraction_backward(None, *arguments) == 5 * 8 * (15 + 8 + 4)


def test_a_graph_attention_of_scalars():
    # one block of 16 scalars, two heads of 16 values, weights from 15 functions and an envelope
    irreps = dict.fromkeys(("node_embedding", "head", "mlp_mid", "feature"), "16x0e")
    model = build(
        "equiformer", elements=["Si"], r_max=timing.R_MAX, avg_num_neighbours=28.0, num_layers=1,
        num_heads=2, fc_neurons=[14], irreps_sh="1x0e",
        **{f"irreps_{key}": value for key, value in irreps.items()},
    )  # fmt: skip
    operations, unknown = flops.count_model(fuse(model.eval()).model, timing.silicon(64))
    # radial weights from functions; scores of both heads and 16 scalars from products
    matrices = 2 * 15 * 16 + 2 * 16 * (2 * 16 + 16) + 2 * 2 * 16
    tables, coupling, product, value = 16 * flops.TABLE, 2, 16 * (1 + 2), 16 * (2 + 2 * 2)
    per_centre = 2 * 2 * 16 * 16
    forward = 28 * (tables + matrices + coupling + product + value) + per_centre
    assert operations["graph_attention"] == forward
    # nine for an inner product's three derivatives; six for the outer's, and four for each head
    by_product, by_value = 16 * 9 + 2, 16 * (6 + 4 * 2) + 2
    backward = 2 * (tables + matrices) + coupling + product + by_product + by_value
    assert operations["graph_attention_backward"] == 28 * backward + per_centre
    assert not unknown


def test_a_graph_attention_counts_only_entries_that_are_not_zero():
    import torch

    # no functions, no maps and one head: all that is left are 16 channels on one path l = 1 to 1,
    # with the antisymmetric matrix that l = 1 of the harmonics makes
    constants = [torch.zeros(0) for _ in range(15)]
    constants[0] = torch.zeros(1, 2, 0, 3, 16)
    constants[3] = torch.tensor([[3, 16]])
    constants[4], constants[5] = torch.zeros(0, 7), torch.zeros(0, 5)
    constants[6] = constants[7] = torch.tensor([[0, 0, 0, 0]])
    constants[8] = torch.tensor([[1, 1, 0, 6]])
    constants[9] = torch.tensor([[1, 3], [2, 2], [3, 3], [5, 1], [6, 2], [7, 1]])
    parts = flops.graph_attention_parts(constants, 0, 1)
    assert parts["products"] == 16 * (3 + 2 * 6)
    assert parts["values"] == 16 * (2 * 6 + 2 * 3)
    assert parts["couplings"] == 2 * 6


@pytest.mark.parametrize("name", ["allegro", "torchmd_net", "equiformer"])
def test_every_operator_of_a_fused_model_has_a_formula(name):
    operations, unknown = flops.count(name, 64)
    assert not unknown
    assert sum(operations.values()) > 1e5
