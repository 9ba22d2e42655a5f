# SPDX-License-Identifier: GPL-2.0-or-later
"""Every architecture that can be fused, with the options that reach into its edges."""

from __future__ import annotations

import pytest
import torch
from e3nn.util import jit

from egraff.export import compare
from egraff.export.prepare import verification_frames
from egraff.fusion import can_fuse, fuse
from egraff.fusion.convolution import FusedEdgeConvolution
from egraff.models import ARCHITECTURES, ForceField, build
from tests.models.configs import small_config

ALLOWED = {"float32": 1e-5, "float64": 1e-9}
LATE = {"apply_cutoff": False}
DENSITY = {
    "interaction_first": "real_agnostic_density",
    "interaction": "real_agnostic_density_residual",
}
FUSED = [
    ("nequip", {}),
    ("botnet", {}),
    ("botnet", {"pair_cutoffs": {"H": 3.0}}),
    ("mace", {}),
    ("mace", {"apply_cutoff": False}),
    ("mace", {"distance_transform": "agnesi"}),
    ("mace", {"radial_basis": "gaussian", "pair_cutoffs": {"H": {"O": 3.0}}}),
    ("mace", {"interaction_first": "real_agnostic_residual", "zbl": True}),
    ("mace", {"interaction_first": "real_agnostic_density", **LATE}),
    ("mace", {**DENSITY, "distance_transform": "agnesi", "zbl": True}),
    ("allegro", {}),
    ("allegro", {"n_layers": 3, "path_channel_coupling": False}),
    ("allegro", {"parity": False, "individual_weights": False, "latent_update": "residual"}),
    ("equiformer", {}),
    ("equiformer", {"num_heads": 3, "basis_type": "gaussian", "isolated_atom": "network"}),
    ("equiformer", {"irreps_head": "4x0e+2x1o", "basis_type": "bessel", "smooth_cutoff": False}),
    ("equiformer", {"pair_cutoffs": {"H": 2.5, "O": {"H": 3.0, "C": 3.5}}, "num_layers": 1}),
    ("torchmd_net", {}),
    ("torchmd_net", {"rbf_type": "gauss", "trainable_rbf": True, "attn_activation": "tanh"}),
    ("torchmd_net", {"neighbour_embedding": False, "distance_influence": "keys"}),
    ("torchmd_net", {"distance_influence": "values", "isolated_atom": "network"}),
    ("torchmd_net", {"distance_influence": "none", "hidden_channels": 20, "num_heads": 1}),
    ("torchmd_net", {"vector_cutoff": False, "activation": "ssp", "attn_activation": "ssp"}),
    ("torchmd_net", {"pair_cutoffs": {"H": 2.5, "O": {"H": 3.0, "C": 3.5}}, "num_heads": 8}),
]


def trained(model: ForceField) -> ForceField:
    """Give biases, which start at zero, values as training does."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter += 0.3 * noise
    return model


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("name", "options"), FUSED)
def test_fused_and_scripted_is_the_same_model(name, options):
    model = trained(build(name, seed=3, dtype="float64", **{**small_config(name), **options}))
    assert can_fuse(model)
    scripted = jit.script(fuse(model).model)
    for _, graph in verification_frames(model, None):
        compare(model, scripted, graph, what="fused and plain", tolerance=1e-9)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_weights_of_a_float32_checkpoint_in_float64(name):
    options = {**small_config(name), "r_max": 4.1, "pair_cutoffs": {"H": 3.7}}
    rounded = trained(build(name, seed=3, dtype="float32", **options)).state_dict()
    # as checkpoints had it: 1 / cutoff, which float32 cannot hold
    rounded["inverse_cutoff"] = torch.full((9,), 1.0 / 4.1)
    model = build(name, dtype="float64", **options)
    model.load_state_dict(rounded)
    assert "inverse_cutoff" not in model.state_dict()
    _, graph = verification_frames(model, None)[0]
    # tables are good to 1e-10 of their largest slope; a rounded cutoff gives 1e-8
    compare(model, fuse(model).model, graph, what="fused and plain", tolerance=1e-10)


# channels that fill cache lines pass between the operators in the layout of these
FULL_LINES = [
    ("nequip", {"n_features": 16}),
    ("botnet", {"hidden_irreps": "16x0e + 16x1o"}),
    ("mace", {"hidden_irreps": "16x0e + 16x1o"}),
    ("mace", {"hidden_irreps": "32x0e + 32x1o", "correlation": 1, "species_product": False}),
    (
        "mace",
        {"hidden_irreps": "16x0e + 16x1o", "interaction_first": "real_agnostic_residual"},
    ),
    ("mace", {"hidden_irreps": "16x0e + 16x1o", **DENSITY}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), FULL_LINES)
def test_full_cache_lines(name, options, dtype):
    model = build(name, seed=3, dtype=dtype, **{**small_config(name), **options})
    fused = fuse(model).model
    convolutions = {
        part: module.channels_last
        for part, module in fused.named_modules()
        if isinstance(module, FusedEdgeConvolution)
    }
    # a number of neighbours has one channel
    assert all(last for part, last in convolutions.items() if "count" not in part)
    for _, graph in verification_frames(model, None):
        compare(model, fused, graph, what="fused and plain", tolerance=ALLOWED[dtype])


@pytest.mark.parametrize("name", ["mace", "botnet", "allegro", "torchmd_net"])
def test_single_precision(name):
    model = build(name, seed=3, dtype="float32", **small_config(name))
    fused = fuse(model).model
    _, graph = verification_frames(model, None)[0]
    assert compare(model, fused, graph, what="fused and plain", tolerance=1e-5)["forces"] < 1e-5


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mace", {"l_max": 4, "hidden_irreps": "2x0e + 2x1o"}),
        ("torchmd_net", {"cutoff_lower": 0.5}),
        ("equiformer", {"attention": "dot_product", "nonlinear_message": False}),
        ("equiformer", {"nonlinear_message": False}),
        ("equiformer", {"irreps_sh": "1x0e+1x1o+1x2e+1x3o+1x4e"}),
    ],
)
def test_what_cannot_be_fused_is_known(name, options):
    assert not can_fuse(build(name, seed=3, **{**small_config(name), **options}))
