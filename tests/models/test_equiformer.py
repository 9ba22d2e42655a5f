# SPDX-License-Identifier: GPL-2.0-or-later
"""Equiformer: the contract, for the options that change its structure."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from ase import Atoms
from e3nn import nn as e3nn_nn
from e3nn import o3

from egraff.errors import InputError
from egraff.forces import predict
from egraff.models import build
from egraff.nn.dropout import BranchDropout, ChannelDropout
from egraff.nn.equivariant import (
    DepthwiseProduct,
    EquivariantLayerNorm,
    EquivariantLinear,
    SmoothLeakyReLU,
    SwishGate,
    UnitVariance,
    sort_even_first,
)
from egraff.nn.graph_attention import edge_softmax
from egraff.nn.smearing import LearnedGaussianBasis
from tests.models.configs import small_config
from tests.models.contract import ModelContract, assert_close
from tests.models.structures import crystal, graph_of, molecule, rotation, transformed

ROTATIONS_ONLY = {
    "irreps_node_embedding": "6x0e+3x1e+2x2e",
    "irreps_sh": "1x0e+1x1e+1x2e",
    "irreps_head": "3x0e+2x1e+1x2e",
    "irreps_mlp_mid": "6x0e+4x1e+2x2e",
}


class TestEquiformer(ModelContract):
    architecture = "equiformer"
    configs: ClassVar[dict[str, dict[str, Any]]] = {
        "both parities, linear messages": {
            "irreps_node_embedding": "5x0e+2x0o+2x1e+3x1o",
            "irreps_sh": "1x0e+1x1o",
            "irreps_pre_attn": "4x0e+1x0o+2x1e+2x1o",
            "irreps_head": "3x0e+1x0o+1x1e+2x1o",
            "irreps_mlp_mid": "6x0e+2x0o+2x1e+2x1o",
            "nonlinear_message": False,
            "basis_type": "gaussian",
            "fc_neurons": [6, 5],
        },
        "dot product, pair cutoffs": {
            "attention": "dot_product",
            "basis_type": "bessel",
            "pair_cutoffs": {"H": 2.5, "O": {"H": 3.0, "C": 3.5}},
        },
        "dropouts, which vanish in evaluation": {
            "alpha_drop": 0.2,
            "proj_drop": 0.1,
            "out_drop": 0.1,
            "drop_path_rate": 0.1,
        },
        # as the authors' MD17 models have it: inversion is not a symmetry
        "even irreps": ROTATIONS_ONLY,
    }

    @pytest.mark.parametrize("structure", [molecule, crystal])
    def test_rotation_and_inversion(self, model, structure):
        if "1e" not in model.config.irreps_sh:
            super().test_rotation_and_inversion(model, structure)
            return
        atoms = structure()
        before = predict(model, graph_of(model, atoms))
        for matrix in (rotation(3), rotation(4)):
            after = predict(model, graph_of(model, transformed(atoms, matrix)))
            turn = torch.from_numpy(matrix)
            assert_close(model, after.atomic_energy, before.atomic_energy)
            assert_close(model, after.forces, before.forces @ turn)
        mirrored = predict(model, graph_of(model, transformed(atoms, -np.eye(3))))
        assert (mirrored.atomic_energy - before.atomic_energy).abs().max() > 1e-3


def test_without_smooth_cutoff_the_energy_jumps():
    def jump(smooth_cutoff: bool) -> float:
        options = {**small_config("equiformer"), "dtype": "float64"}
        model = build("equiformer", seed=3, smooth_cutoff=smooth_cutoff, **options)

        def energy(gap: float) -> float:
            atoms = Atoms("OCH", positions=[[0, 0, 0], [0, 1.2, 0], [model.r_max - gap, 0, 0]])
            return predict(model, graph_of(model, atoms)).energy.item()

        return abs(energy(1e-7) - energy(-1e-7))

    assert jump(smooth_cutoff=False) > 1e-4
    assert jump(smooth_cutoff=True) < 1e-6


@pytest.mark.parametrize("option", ["alpha_drop", "proj_drop", "out_drop", "drop_path_rate"])
def test_dropouts_act_in_training_alone(option):
    options = {**small_config("equiformer"), "dtype": "float64"}
    plain = build("equiformer", seed=3, **options).eval()
    model = build("equiformer", seed=3, **options, **{option: 0.5})
    graph = graph_of(model, molecule())
    expected = predict(plain, graph).forces
    assert torch.equal(predict(model.eval(), graph).forces, expected)
    torch.manual_seed(1)
    model.train()
    assert any((predict(model, graph).forces - expected).abs().max() > 1e-6 for _ in range(20))


def test_channel_dropout():
    irreps = o3.Irreps("3x0e+2x1o+1x2e")
    dropout = ChannelDropout(irreps, 0.25)
    torch.manual_seed(1)
    x = torch.rand(20_000, irreps.dim, dtype=torch.float64) + 1.0
    ratio = dropout(x) / x
    start = 0
    for block in irreps:
        channels = ratio[:, start : start + block.dim].reshape(-1, block.mul, block.ir.dim)
        # the components of a channel share one fate, which is 0 or 1 / (1 - rate)
        assert (channels.amax(dim=2) - channels.amin(dim=2)).max() < 1e-12
        start += block.dim
    assert ratio.unique().numpy().round(9).tolist()[:: len(ratio.unique()) - 1] == pytest.approx(
        [0.0, 4 / 3]
    )
    assert ratio.mean().item() == pytest.approx(1.0, abs=0.01)
    assert dropout.eval()(x) is x


def test_branch_dropout_drops_all_or_nothing():
    dropout = BranchDropout(0.25)
    torch.manual_seed(1)
    x = torch.ones(7, 3, dtype=torch.float64)
    drawn = torch.stack([dropout(x) for _ in range(4000)])
    assert (drawn == drawn[:, :1, :1]).all()
    assert (drawn[:, 0, 0] == 0.0).double().mean().item() == pytest.approx(0.25, abs=0.03)
    assert drawn.max().item() == pytest.approx(4 / 3)
    assert dropout.eval()(x) is x


def test_edge_softmax():
    scores = torch.tensor([[0.0], [np.log(3.0)], [700.0]], dtype=torch.float64)
    centre = torch.tensor([0, 0, 2])
    weights = edge_softmax(scores, torch.ones(3, dtype=torch.float64), centre, 3)
    assert weights[:, 0].tolist() == pytest.approx([0.25, 0.75, 1.0])
    # 1/2 exp 0 and 1 exp ln 3 in the sum; then 1/2 and 1 in front; a lone edge keeps its envelope
    envelope = torch.tensor([0.5, 1.0, 1e-3], dtype=torch.float64)
    weights = edge_softmax(scores, envelope, centre, 3)
    assert weights[:, 0].tolist() == pytest.approx([0.5 / 7.0, 6.0 / 7.0, 1e-3])


def test_layer_norm():
    norm = EquivariantLayerNorm(o3.Irreps("2x0e+1x1o"), eps=0.0)
    with torch.no_grad():
        norm.bias.copy_(torch.tensor([0.0, 10.0]))
        norm.weight.copy_(torch.tensor([1.0, 1.0, 2.0]))
    out = norm(torch.tensor([[3.0, 1.0, 0.0, 0.0, 5.0]]))
    # scalars: mean 2 off, root mean square 1; vector: root mean square 5 / sqrt(3), twice
    assert out[0].tolist() == pytest.approx([1.0, 9.0, 0.0, 0.0, 2 * 3**0.5])


def test_linear_is_e3nns():
    irreps_in, irreps_out = o3.Irreps("3x0e+2x1o"), o3.Irreps("2x0e+1x0o+4x1o")
    ours = EquivariantLinear(irreps_in, irreps_out)
    theirs = o3.Linear(irreps_in, irreps_out, biases=True)
    theirs.load_state_dict(
        {**theirs.state_dict(), "weight": ours.weight.detach(), "bias": torch.tensor([1.0, 2.0])}
    )
    with torch.no_grad():
        ours.bias.copy_(torch.tensor([1.0, 2.0]))
    x = torch.randn(4, irreps_in.dim)
    torch.testing.assert_close(ours(x), theirs(x))


def test_gate_is_e3nns():
    irreps = o3.Irreps("3x0e+2x1o+1x2e")
    ours = SwishGate(irreps)
    theirs = e3nn_nn.Gate("3x0e", [torch.nn.SiLU()], "3x0e", [torch.sigmoid], "2x1o+1x2e")
    assert ours.irreps_in == theirs.irreps_in.simplify() == o3.Irreps("6x0e+2x1o+1x2e")
    x = torch.randn(4, ours.irreps_in.dim)
    torch.testing.assert_close(ours(x), theirs(x))


def test_unit_variance():
    x = torch.randn(1_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert UnitVariance(SmoothLeakyReLU())(x).square().mean().item() == pytest.approx(1, abs=0.01)


def test_smooth_leaky_relu_has_its_slopes():
    act = SmoothLeakyReLU(0.2)
    x = torch.tensor([-40.0, 0.0, 40.0], dtype=torch.float64)
    assert act(x).tolist() == pytest.approx([-8.0, 0.0, 40.0])


def test_depthwise_product_is_e3nns():
    irreps, sh, keep = o3.Irreps("3x0e+2x1o"), o3.Irreps("0e+1o+2e"), o3.Irreps("1x1o+1x1e")
    ours = DepthwiseProduct(irreps, sh, keep)
    paths, instructions = [], []
    for i, (mul, ir) in enumerate(irreps):
        for j, (_, ir_sh) in enumerate(sh):
            for ir_out in ir * ir_sh:
                if ir_out in keep or ir_out == o3.Irrep("0e"):
                    instructions.append((i, j, len(paths), "uvu", True))
                    paths.append((mul, ir_out))
    sorted_paths, order = sort_even_first(o3.Irreps(paths))
    place = {path: n for n, path in enumerate(order)}
    theirs = o3.TensorProduct(
        irreps,
        sh,
        sorted_paths,
        [(i, j, place[k], mode, train) for i, j, k, mode, train in instructions],
        path_normalization="none",
        internal_weights=False,
        shared_weights=False,
    )
    assert ours.irreps_out == sorted_paths.simplify()
    assert ours.n_weights == theirs.weight_numel
    x, y, w = torch.randn(5, irreps.dim), torch.randn(5, sh.dim), torch.randn(5, ours.n_weights)
    torch.testing.assert_close(ours(x, y, w), theirs(x, y, w))


def test_learned_gaussians_are_normalised():
    basis = LearnedGaussianBasis(3).double()
    x = torch.linspace(-9, 10, 20_001, dtype=torch.float64)
    integral = basis(x).sum(dim=0) * (x[1] - x[0])
    assert integral.tolist() == pytest.approx([1.0, 1.0, 1.0], rel=1e-3)


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        (
            {"irreps_head": "2x1o+3x0e"},
            "irreps_head",
            "expected even scalars first, then each irrep once by increasing l, even before odd, "
            "such as 16x0e+8x1o+4x2e, got '2x1o+3x0e'",
        ),
        (
            {"irreps_mlp_mid": "many"},
            "irreps_mlp_mid",
            "expected irreps such as 16x0e+8x1o, got 'many'",
        ),
        (
            {"irreps_sh": "1x0e+1x2e"},
            "config",
            "irreps_sh: expected one harmonic of each l from 0 on, such as 1x0e+1x1o+1x2e, "
            "got '1x0e+1x2e'",
        ),
        (
            {"irreps_feature": "4x0e+1x1o"},
            "config",
            "irreps_feature: expected even scalars only, got '4x0e+1x1o'",
        ),
    ],
)
def test_refused_options(options, field, message):
    with pytest.raises(InputError) as caught:
        build("equiformer", elements=["H"], r_max=4.0, **options)
    assert str(caught.value).startswith(f"model equiformer: {field}: Value error, {message}")
