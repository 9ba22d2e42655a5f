# SPDX-License-Identifier: GPL-2.0-or-later
"""The equivariant transformer: the contract, for the options that change its structure."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from ase import Atoms

from egraff.errors import InputError
from egraff.forces import Prediction, predict
from egraff.models import build
from egraff.nn.scalar_vector import vector_length
from tests.models.configs import small_config
from tests.models.contract import ModelContract
from tests.models.structures import graph_of


class TestTorchMDNet(ModelContract):
    architecture = "torchmd_net"
    configs: ClassVar[dict[str, dict[str, Any]]] = {
        "own element only, gauss, keys": {
            "neighbour_embedding": False,
            "rbf_type": "gauss",
            "trainable_rbf": True,
            "distance_influence": "keys",
            "activation": "ssp",
            "attn_activation": "tanh",
        },
        "values, one layer": {
            "num_layers": 1,
            "distance_influence": "values",
            "activation": "mish",
            "attn_activation": "sigmoid",
        },
        "no distances, pair cutoffs": {
            "distance_influence": "none",
            "pair_cutoffs": {"H": 2.5, "O": {"H": 3.0, "C": 3.5}},
            "activation": "tanh",
            "attn_activation": "swish",
        },
        "lower cutoff": {"num_layers": 2, "cutoff_lower": 0.8},
    }


def test_without_vector_cutoff_the_energy_jumps():
    # the reason for the default: the original's form is not continuous
    def jump(vector_cutoff: bool) -> float:
        options = {**small_config("torchmd_net"), "dtype": "float64"}
        model = build("torchmd_net", seed=3, vector_cutoff=vector_cutoff, **options)
        with torch.no_grad():
            for layer in model.layers:
                layer.value_filter.bias += 1.0  # what training does: biases start at zero

        def energy(gap: float) -> float:
            atoms = Atoms("OCH", positions=[[0, 0, 0], [0, 1.2, 0], [model.r_max - gap, 0, 0]])
            return predict(model, graph_of(model, atoms)).energy.item()

        return abs(energy(1e-7) - energy(-1e-7))

    assert jump(vector_cutoff=False) > 1e-4
    assert jump(vector_cutoff=True) < 1e-9


def test_below_the_lower_cutoff_atoms_do_not_see_each_other():
    options = {**small_config("torchmd_net"), "dtype": "float64", "cutoff_lower": 1.0}
    model = build("torchmd_net", seed=3, **options)

    def pair(distance: float) -> Prediction:
        atoms = Atoms("OH", positions=[[0, 0, 0], [distance, 0, 0]])
        return predict(model, graph_of(model, atoms))

    apart = pair(0.9)
    assert apart.atomic_energy.tolist() == model.config.energy_shift[2::-2]
    assert torch.count_nonzero(apart.forces) == 0
    # value and slope are continuous through that end, too
    scale = pair(1.5).forces.abs().max().item()
    gaps = (1e-3, 1e-4)
    jumps = [pair(1.0 + gap).forces.abs().max().item() for gap in gaps]
    assert jumps[1] < 0.3 * jumps[0] < 0.1 * scale
    assert abs(pair(1.0 + 1e-4).energy - apart.energy) < 1e-6 * scale


def test_lower_cutoff_must_be_below_the_upper():
    with pytest.raises(InputError) as caught:
        build("torchmd_net", elements=["H"], r_max=4.0, cutoff_lower=4.0)
    assert str(caught.value).startswith(
        "model torchmd_net: config: Value error, cutoff_lower: expected less than r_max = 4.0, "
        "got 4.0"
    )


def test_network_energy_of_an_isolated_atom_is_kept_on_request():
    options = {**small_config("torchmd_net"), "dtype": "float64", "isolated_atom": "network"}
    model = build("torchmd_net", seed=3, **options)
    reference = build("torchmd_net", seed=3, **{**options, "isolated_atom": "reference"})
    atoms = Atoms("HO", positions=[[0, 0, 0], [50, 0, 0]])
    own = predict(model, graph_of(model, atoms)).atomic_energy
    zero = predict(reference, graph_of(reference, atoms)).atomic_energy
    assert (own - zero).abs().min() > 1e-6
    near = Atoms("HO", positions=[[0, 0, 0], [1, 0, 0]])
    difference = predict(model, graph_of(model, near)).atomic_energy
    difference = difference - predict(reference, graph_of(reference, near)).atomic_energy
    torch.testing.assert_close(difference, own - zero)


def test_length_of_zero_vectors_has_finite_second_derivatives():
    v = torch.zeros(2, 3, 1, dtype=torch.float64)
    v[1, :, 0] = torch.tensor([1.0, 2.0, 2.0])
    v.requires_grad_(True)
    length = vector_length(v)
    assert length[:, 0].tolist() == [0.0, 3.0]
    (first,) = torch.autograd.grad(length.sum(), v, create_graph=True)
    assert first[1, :, 0].tolist() == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert torch.count_nonzero(first[0]) == 0
    (second,) = torch.autograd.grad(first.sum(), v)
    assert torch.isfinite(second).all()


def test_length_of_tiny_vectors_has_finite_second_derivatives_in_float32():
    # as an atom makes them that has just come inside the cutoff
    sizes = torch.logspace(-25, 0, 251)
    v = torch.stack([sizes, 0.3 * sizes, torch.zeros_like(sizes)])[None].requires_grad_(True)
    length = vector_length(v)
    torch.testing.assert_close(length[0], 1.09**0.5 * sizes, rtol=1e-6, atol=2e-12)
    (first,) = torch.autograd.grad(length.sum(), v, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum() + first.sum(), v)
    assert torch.isfinite(second).all()


def test_heads_must_divide_channels():
    with pytest.raises(InputError) as caught:
        build("torchmd_net", elements=["H"], r_max=4.0, hidden_channels=10, num_heads=4)
    assert str(caught.value).startswith(
        "model torchmd_net: config: Value error, hidden_channels: expected an even number "
        "divisible by num_heads = 4, got 10"
    )
