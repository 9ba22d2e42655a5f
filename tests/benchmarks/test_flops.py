"""Operation counts against counts by hand."""

import flops
import pytest
import timing

from egraff.fuse import fuse
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


@pytest.mark.parametrize("name", ["allegro", "torchmd_net"])
def test_every_operator_of_a_fused_model_has_a_formula(name):
    operations, unknown = flops.count(name, 64)
    assert not unknown
    assert sum(operations.values()) > 1e5
