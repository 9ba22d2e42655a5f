# SPDX-License-Identifier: GPL-2.0-or-later
"""Allegro models of the nequip-allegro package (0.8), as options and weights of egraff's."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from egraff.errors import InputError
from egraff.interop.weights import by_position, unsupported, without_prefix
from egraff.models import build

# option of nequip-allegro's AllegroModel -> option of egraff's Allegro
_OPTIONS = {
    "type_names": "elements",
    "model_dtype": "dtype",
    "r_max": "r_max",
    "per_edge_type_cutoff": "pair_cutoffs",
    "l_max": "l_max",
    "parity": "parity",
    "num_layers": "n_layers",
    "num_scalar_features": "n_scalar_features",
    "num_tensor_features": "n_tensor_features",
    "radial_chemical_embed_dim": "embedding_channels",
    "tp_path_channel_coupling": "path_channel_coupling",
    "weight_individual_irreps": "individual_weights",
    "avg_num_neighbors": "avg_num_neighbours",
    "per_type_energy_scales": "energy_scale",
    "per_type_energy_shifts": "energy_shift",
    "per_type_energy_scales_trainable": "energy_scale_trainable",
    "per_type_energy_shifts_trainable": "energy_shift_trainable",
}
# prefix of a network's three options there -> here, with the default width there
_NETWORKS = {
    "scalar_embed_mlp": ("embedding", 64),
    "allegro_mlp": ("latent", 64),
    "readout_mlp": ("readout", 32),
}
_RADIAL = {
    "TwoBodyBesselScalarEmbed": {
        "num_bessels": "n_bessel",
        "bessel_trainable": "bessel_trainable",
        "polynomial_cutoff_p": "cutoff_p",
    },
    "TwoBodySplineScalarEmbed": {"num_splines": "n_splines", "spline_span": "spline_span"},
}
# a name that every state of the bare model has
_MARK = "allegro.first_layer_env_embed_projection.mlp.0.weight"
_IGNORED = {"seed", "do_derivatives", "compile_mode", "forward_normalize"}
_NONE = {None, "None", "null"}


def convert_config(config: dict[str, Any]) -> dict[str, Any]:
    """Translate the options of nequip-allegro's ``AllegroModel``.

    Raises:
        InputError: an option that egraff's Allegro does not have.
    """
    converted: dict[str, Any] = {}
    known = _IGNORED | {"radial_chemical_embed", "pair_potential"}
    for prefix, (ours, width) in _NETWORKS.items():
        names = [f"{prefix}_hidden_layers_{part}" for part in ("depth", "width")]
        known |= {*names, f"{prefix}_nonlinearity"}
        depth = config.get(names[0], 1)
        converted[f"{ours}_hidden"] = [config.get(names[1], width)] * depth
        nonlinearity = config.get(f"{prefix}_nonlinearity", "silu")
        if nonlinearity in ("sigmoid", "softplus"):  # not zero at zero: energies would jump
            raise unsupported("Allegro", f"{prefix}_nonlinearity", nonlinearity)
        converted[f"{ours}_nonlinearity"] = None if nonlinearity in _NONE else nonlinearity
    for name, value in config.items():
        if name in _OPTIONS:
            if value is not None:
                converted[_OPTIONS[name]] = value
        elif name not in known:
            raise unsupported("Allegro", name, value)
    if config.get("pair_potential") is not None:
        raise unsupported("Allegro", "pair_potential", config["pair_potential"])

    radial = dict(config["radial_chemical_embed"])
    target = str(radial.pop("_target_")).rpartition(".")[2]
    if target not in _RADIAL:
        raise unsupported("Allegro", "radial_chemical_embed", target)
    converted["radial_basis"] = "spline" if "Spline" in target else "bessel"
    for name, value in radial.items():
        if name not in _RADIAL[target]:
            raise unsupported("Allegro", f"radial_chemical_embed.{name}", value)
        converted[_RADIAL[target][name]] = value

    return by_position(converted)


def convert_state(
    config: dict[str, Any], state: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Translate options and weights.

    Args:
        config: the options of ``AllegroModel`` with which the original was built.
        state: its ``state_dict()``, with or without the prefix of its wrappers.

    Returns:
        Options for :func:`egraff.models.build`, and the state of the model it makes.

    Raises:
        InputError: an option that egraff lacks, or a weight that is missing.
    """
    options = convert_config(config)
    weights = without_prefix(state, _MARK, "an Allegro model of nequip-allegro 0.8")
    model = build("allegro", **options)
    target = model.state_dict()
    result = dict(target)
    copy = _NetworkCopier(weights, result, forward=config.get("forward_normalize", True))

    embed = "radial_chemical_embed"
    if options["radial_basis"] == "spline":
        spline = _take(weights, f"{embed}.spline.class_embed.weight")
        shape = target["two_body.spline.weight"].shape
        result["two_body.spline.weight"] = spline.reshape(shape)
    else:
        roots = _take(weights, f"{embed}.bessel_encode.bessel_weights")
        result["two_body.basis.roots"] = roots.reshape(-1)
        for theirs, ours in (("center", "centre"), ("neighbor", "neighbour")):
            embedding = _take(weights, f"{embed}.type_embed.{theirs}_embed.weight")
            result[f"two_body.{ours}.weight"] = embedding
        copy(f"{embed}.type_embed.basis_linear.mlp", "two_body.projection", "silu")
    nonlinearity = options["embedding_nonlinearity"]
    copy("scalar_embed_mlp.mlp_module.mlp", "embedding_network", nonlinearity)
    copy("tensor_embed.env_embed_linear.mlp", "tensor_weights", "silu")
    projection = _take(weights, "allegro.first_layer_env_embed_projection.mlp.0.weight")
    result["first_projection.weights.0"] = projection
    for number in range(len(model.layers)):
        ours = f"layers.{number}"
        copy(f"allegro.latents.{number}.mlp", f"{ours}.network", options["latent_nonlinearity"])
        product = _take(weights, f"allegro.tps.{number}.weights")
        result[f"{ours}.product.weight"] = product.reshape(target[f"{ours}.product.weight"].shape)
    copy("edge_readout.mlp_module.mlp", "readout", options["readout_nonlinearity"])
    for theirs, ours in (("scales", "scale"), ("shifts", "shift")):
        values = weights.get(f"per_type_energy_scale_shift.{theirs}")
        if values is not None and values.numel():  # one for all, or one for each element
            expanded = values.reshape(-1).expand_as(target[f"scale_shift.{ours}"])
            result[f"scale_shift.{ours}"] = expanded.clone()
    return options, {name: value.to(target[name].dtype) for name, value in result.items()}


class _NetworkCopier:
    """Copies perceptrons, rescaled where the original normalises by the width of the output."""

    def __init__(
        self, weights: dict[str, Tensor], result: dict[str, Tensor], *, forward: bool
    ) -> None:
        self.weights = weights
        self.result = result
        self.forward = forward

    def __call__(self, theirs: str, ours: str, nonlinearity: str | None) -> None:
        n_layers = sum(name.startswith(f"{ours}.weights.") for name in self.result)
        gains = _gains(n_layers, nonlinearity)
        for layer in range(n_layers):
            # a network without nonlinearities keeps a bare list of matrices
            name = f"{theirs}.{2 * layer}.weight"
            if nonlinearity is None and n_layers > 1:
                name = f"{theirs}.weights.{layer}"
            weight = _take(self.weights, name)
            if not self.forward:
                n_in, n_out = weight.shape
                weight = weight * (gains[-1 - layer] / gains[layer] * math.sqrt(n_in / n_out))
            self.result[f"{ours}.weights.{layer}"] = weight


def _gains(n_layers: int, nonlinearity: str | None) -> list[float]:
    """Return the factor of each layer for the nonlinearity before it."""
    gain = 1.0 if nonlinearity is None else math.sqrt(2.0)
    return [1.0 if layer == 0 else gain for layer in range(n_layers)]


def _take(weights: dict[str, Tensor], name: str) -> Tensor:
    if name not in weights:
        raise InputError(
            f"expected a weight {name}, found none",
            field="state",
            fix="give the options with which this model was built",
        )
    return weights[name]
