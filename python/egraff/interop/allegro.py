# SPDX-License-Identifier: GPL-2.0-or-later
"""Allegro models of the nequip-allegro package (0.8), as options and weights of egraff's."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from egraff.interop.nequip_package import BESSEL, IGNORED, OPTIONS, copy_scale_shift, translated
from egraff.interop.options import OptionTable, same
from egraff.interop.weights import NamedWeights, Target, without_prefix
from egraff.models import build

# prefix of a network's three options there -> here, with the default width there
_NETWORKS = {
    "scalar_embed_mlp": ("embedding", 64),
    "allegro_mlp": ("latent", 64),
    "readout_mlp": ("readout", 32),
}
_RADIAL = {
    "TwoBodyBesselScalarEmbed": ("bessel", BESSEL),
    "TwoBodySplineScalarEmbed": ("spline", {"num_splines": "n_splines", **same("spline_span")}),
}
# those that are zero at zero, for energies would jump otherwise
_NONLINEARITIES = {
    **same("silu mish gelu ssp tanh"),
    **dict.fromkeys((None, "None", "null")),
}
TABLE = OptionTable(
    "Allegro",
    renamed={
        **OPTIONS,
        "num_scalar_features": "n_scalar_features",
        "num_tensor_features": "n_tensor_features",
        "radial_chemical_embed_dim": "embedding_channels",
        "tp_path_channel_coupling": "path_channel_coupling",
        "weight_individual_irreps": "individual_weights",
    },
    assumed={"pair_potential": [None]},
    elsewhere=IGNORED
    | {"forward_normalize", "radial_chemical_embed"}
    | {
        f"{prefix}_{part}"
        for prefix in _NETWORKS
        for part in ("hidden_layers_depth", "hidden_layers_width", "nonlinearity")
    },
)
# a name that every state of the bare model has
_MARK = "allegro.first_layer_env_embed_projection.mlp.0.weight"


def convert_config(config: dict[str, Any]) -> dict[str, Any]:
    """Translate the options of nequip-allegro's ``AllegroModel``.

    Raises:
        InputError: an option that egraff's Allegro does not have.
    """
    converted = translated(TABLE, config)
    for prefix, (ours, width) in _NETWORKS.items():
        depth = config.get(f"{prefix}_hidden_layers_depth", 1)
        converted[f"{ours}_hidden"] = [config.get(f"{prefix}_hidden_layers_width", width)] * depth
        name = f"{prefix}_nonlinearity"
        nonlinearity = TABLE.choice(name, config.get(name, "silu"), _NONLINEARITIES)
        converted[f"{ours}_nonlinearity"] = nonlinearity
    embedding = dict(config["radial_chemical_embed"])
    target = str(embedding.pop("_target_")).rpartition(".")[2]
    basis, renamed = TABLE.choice("radial_chemical_embed", target, _RADIAL)
    names = {f"radial_chemical_embed.{name}": ours for name, ours in renamed.items()}
    radial = {f"radial_chemical_embed.{name}": value for name, value in embedding.items()}
    converted |= OptionTable("Allegro", names).translate(radial)
    return {**converted, "radial_basis": basis}


def convert_state(
    config: dict[str, Any], state: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Translate options and weights; see :mod:`egraff.interop`.

    Args:
        config: the options of ``AllegroModel`` with which the original was built.
        state: its ``state_dict()``, with or without the prefix of its wrappers.
    """
    options = convert_config(config)
    weights = without_prefix(state, _MARK, "an Allegro model of nequip-allegro 0.8")
    model = build("allegro", **options)
    target = Target(model)
    copy = _NetworkCopier(weights, target, forward=config.get("forward_normalize", True))

    embed = "radial_chemical_embed"
    if options["radial_basis"] == "spline":
        target.fill("two_body.spline.weight", weights[f"{embed}.spline.class_embed.weight"])
    else:
        roots = weights[f"{embed}.bessel_encode.bessel_weights"]
        target["two_body.basis.roots"] = roots.reshape(-1)
        for theirs, ours in (("center", "centre"), ("neighbor", "neighbour")):
            target[f"two_body.{ours}.weight"] = weights[f"{embed}.type_embed.{theirs}_embed.weight"]
        copy(f"{embed}.type_embed.basis_linear.mlp", "two_body.projection", "silu")
    nonlinearity = options["embedding_nonlinearity"]
    copy("scalar_embed_mlp.mlp_module.mlp", "embedding_network", nonlinearity)
    copy("tensor_embed.env_embed_linear.mlp", "tensor_weights", "silu")
    target["first_projection.weights.0"] = weights[_MARK]
    for number in range(len(model.layers)):
        ours = f"layers.{number}"
        copy(f"allegro.latents.{number}.mlp", f"{ours}.network", options["latent_nonlinearity"])
        target.fill(f"{ours}.product.weight", weights[f"allegro.tps.{number}.weights"])
    copy("edge_readout.mlp_module.mlp", "readout", options["readout_nonlinearity"])
    copy_scale_shift(weights, target)
    return options, target.finished()


class _NetworkCopier:
    """Copies perceptrons, rescaled where the original normalises by the width of the output."""

    def __init__(self, weights: NamedWeights, target: Target, *, forward: bool) -> None:
        self.weights = weights
        self.target = target
        self.forward = forward

    def __call__(self, theirs: str, ours: str, nonlinearity: str | None) -> None:
        n_layers = sum(name.startswith(f"{ours}.weights.") for name in self.target)
        gains = _gains(n_layers, nonlinearity)
        for layer in range(n_layers):
            # a network without nonlinearities keeps a bare list of matrices
            name = f"{theirs}.{2 * layer}.weight"
            if nonlinearity is None and n_layers > 1:
                name = f"{theirs}.weights.{layer}"
            weight = self.weights[name]
            if not self.forward:
                n_in, n_out = weight.shape
                weight = weight * (gains[-1 - layer] / gains[layer] * math.sqrt(n_in / n_out))
            self.target[f"{ours}.weights.{layer}"] = weight


def _gains(n_layers: int, nonlinearity: str | None) -> list[float]:
    """Return the factor of each layer for the nonlinearity before it."""
    gain = 1.0 if nonlinearity is None else math.sqrt(2.0)
    return [1.0 if layer == 0 else gain for layer in range(n_layers)]
