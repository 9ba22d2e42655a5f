# SPDX-License-Identifier: GPL-2.0-or-later
"""Allegro: the contract, for the options that change its structure."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from e3nn import o3

from egraff.errors import InputError
from egraff.forces import predict
from egraff.models import build
from egraff.models.allegro import AllegroConfig, tensor_track
from egraff.nn.edge_tensors import ChannelProduct
from egraff.nn.spline import PairSpline
from tests.models.configs import small_config
from tests.models.contract import ModelContract
from tests.models.structures import graph_of, molecule


class TestAllegro(ModelContract):
    architecture = "allegro"
    configs: ClassVar[dict[str, dict[str, Any]]] = {
        "three layers, both parities, neighbours of each element": {
            "n_layers": 3,
            "l_max": 1,
            "avg_num_neighbours": [4.0, 9.0, 6.0],
        },
        "one parity, l3, pair cutoffs": {
            "n_layers": 2,
            "l_max": 3,
            "parity": False,
            "n_tensor_features": 2,
            "pair_cutoffs": {"H": 2.5, "O": {"H": 3.0, "C": 3.5}},
            "bessel_trainable": True,
        },
        "spline, residual, few weights": {
            "l_max": 1,
            "radial_basis": "spline",
            "n_splines": 6,
            "spline_span": 4,
            "latent_update": "residual",
            "path_channel_coupling": False,
            "individual_weights": False,
            "embedding_hidden": [],
            "latent_hidden": [6, 5],
            "readout_hidden": [],
            "latent_nonlinearity": "mish",
        },
        "l0, one layer, linear": {
            "n_layers": 1,
            "l_max": 0,
            "embedding_channels": 6,
            "embedding_nonlinearity": None,
            "latent_nonlinearity": "gelu",
            "readout_nonlinearity": "ssp",
        },
    }


def test_strictly_local():
    # atoms beyond the cutoff of a centre change nothing, through however many layers
    model = build("allegro", seed=1, **{**small_config("allegro"), "n_layers": 3})
    assert model.exchange_widths == []
    atoms = molecule()
    graph = graph_of(model, atoms)
    edge_vec = graph.edge_vec.to(torch.float32).requires_grad_(True)
    energy = model(graph.species, graph.edge_index, edge_vec, graph.n_atoms)["atomic_energy"]
    (gradient,) = torch.autograd.grad(energy[2], edge_vec)
    assert torch.count_nonzero(gradient[graph.edge_index[0] != 2]) == 0


def test_tensor_track_keeps_what_leads_to_an_energy():
    def track(**options) -> list[str]:
        config = AllegroConfig(elements=["H"], r_max=3.0, l_max=1, **options)
        return [str(irreps) for irreps in tensor_track(config, o3.Irreps("0e+1o"))]

    assert track(n_layers=1) == ["1x0e+1x1o", "1x0e"]
    # before the last layer only what pairs with a harmonic into a scalar is of use
    assert track(n_layers=2) == ["1x0e+1x1o", "1x0e+1x1o", "1x0e"]
    assert track(n_layers=3) == ["1x0e+1x1o", "1x0e+1x1e+1x1o", "1x0e+1x1o", "1x0e"]
    assert track(n_layers=3, parity=False) == [*["1x0e+1x1o"] * 3, "1x0e"]


@pytest.mark.parametrize("coupled", [True, False])
def test_channel_product_is_e3nns(coupled):
    a, b, out = o3.Irreps("0e+1o+2e"), o3.Irreps("0e+1o"), o3.Irreps("0e+1o+1e+2e")
    product = ChannelProduct(a, b, out, 3, coupled=coupled)
    instructions = [
        (i, j, k, "uuu", True)
        for k, (_, ir_out) in enumerate(out)
        for i, (_, ir_a) in enumerate(a)
        for j, (_, ir_b) in enumerate(b)
        if ir_out in ir_a * ir_b
    ]
    triple = [o3.Irreps([(3, ir) for _, ir in irreps]) for irreps in (a, b, out)]
    reference = o3.TensorProduct(
        *triple, instructions, irrep_normalization="component", path_normalization="none"
    )
    x, y = torch.randn(5, 3, a.dim), torch.randn(5, 3, b.dim)
    weight = product.weight.expand(3, product.n_paths).T.flatten()

    def channels_inside(z: torch.Tensor, irreps: o3.Irreps) -> torch.Tensor:
        return torch.cat([z[:, :, s].flatten(1) for s in irreps.slices()], dim=1)

    expected = reference(channels_inside(x, a), channels_inside(y, b), weight)
    torch.testing.assert_close(channels_inside(product(x, y), out), expected)


def test_spline_is_smooth_at_the_cutoff():
    spline = PairSpline(1, 1, 5, 3).double()
    with torch.no_grad():
        spline.weight.fill_(1.0)
    x = torch.tensor([0.9, 1.0, 1.2], dtype=torch.float64, requires_grad=True)
    value = spline(x, torch.zeros(3, dtype=torch.int64))[:, 0]
    assert value[0] > 0
    assert value[1:].tolist() == pytest.approx([0.0, 0.0], abs=1e-15)
    # one bump is left at 0.9, an eighth of its width from its end: (1 - cos(pi/4))^2 / 4
    assert value[0].item() == pytest.approx((1 - 0.5**0.5) ** 2 / 4)


def test_residual_update_keeps_the_amplitude():
    # c^2 + c'^2 = 1 at the start: ratio 1/2
    options = {**small_config("allegro"), "latent_update": "residual"}
    layer = build("allegro", seed=1, **options).layers[0]
    with torch.no_grad():
        for weight in layer.network.weights:
            weight.zero_()
    latents = torch.ones(4, 8)
    _, updated, _ = layer(torch.zeros(4, 4, 9), latents, torch.zeros(4, 4, 9))
    torch.testing.assert_close(updated, latents / 1.25**0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"n_scalar_features": 7},
            "embedding_channels (or n_scalar_features in its place): expected an even number, "
            "half for each of the two elements, got 7",
        ),
        (
            {"spline_span": 9, "n_splines": 8},
            "spline_span: expected at most n_splines = 8, got 9",
        ),
    ],
)
def test_refused_options(options, message):
    with pytest.raises(InputError) as caught:
        build("allegro", elements=["H"], r_max=4.0, **options)
    assert str(caught.value).startswith(f"model allegro: config: Value error, {message}")


def test_scaling_of_the_energy():
    # sum over edges / sqrt(2 N): four times the neighbours in the normalisation, a quarter of the
    # environment and half of the energy; without environment only the latter is left
    options = {**small_config("allegro"), "energy_shift": 0.0, "dtype": "float64", "l_max": 0}
    energies = []
    for neighbours in (4.0, 16.0):
        model = build("allegro", seed=1, **{**options, "avg_num_neighbours": neighbours})
        with torch.no_grad():
            for layer in model.layers:
                layer.product.weight.zero_()
        energies.append(predict(model, graph_of(model, molecule())).energy)
    torch.testing.assert_close(energies[0], 2 * energies[1])
