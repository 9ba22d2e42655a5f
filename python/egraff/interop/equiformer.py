# SPDX-License-Identifier: GPL-2.0-or-later
"""Equiformer models of the authors' repository (atomicarchitects/equiformer, MD17 models).

The repository's linear maps carry their normalisation in their weights, e3nn's carry it beside
them; and its embedding of edges multiplies features that are always zero, which are left out here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from e3nn import o3
from torch import Tensor

from egraff.interop.options import OptionTable, embedded_numbers, same
from egraff.interop.weights import NamedWeights, Target
from egraff.models import build
from egraff.nn.equivariant import DepthwiseProduct

# constants of the repository: statistics of QM9, used for MD17 too
AVG_DEGREE = 15.57930850982666
AVG_NUM_NODES = 18.03065905448718
# the repository's Gaussians are normalised with this value
ROUNDED_PI = 3.14159

TABLE = OptionTable(
    "Equiformer",
    renamed={
        "max_radius": "r_max",
        **same(
            "irreps_node_embedding irreps_sh irreps_head irreps_pre_attn irreps_mlp_mid "
            "irreps_feature num_layers num_heads number_of_basis basis_type fc_neurons attention "
            "nonlinear_message alpha_drop proj_drop out_drop drop_path_rate"
        ),
    },
    assumed={
        "irreps_node_attr": ["1x0e"],
        "rescale_degree": [False],
        "use_attn_head": [False],
        "norm_layer": ["layer"],
        "atomref": [None],
    },
    # the input's irreps follow from the elements; mean and deviation belong to the training script
    elsewhere=frozenset({"irreps_in", "scale", "mean", "std"}),
)


def convert_state(
    config: dict[str, Any], state: dict[str, Tensor], *, elements: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Turn an Equiformer of the repository into egraff's.

    Args:
        config: the options of ``GraphAttentionTransformerMD17`` (``attention`` = ``mlp``) or
            ``DotProductAttentionTransformerMD17`` (``attention`` = ``dot_product``).
        state: its ``state_dict()``.
        elements: chemical symbols that the converted model is to know; the original has weights
            for atomic numbers below 64, trained or not.

    Returns:
        Options for :func:`egraff.models.build` and the weights for ``load_state_dict``. The
        training script's mean and standard deviation are not part of the model.

    Raises:
        InputError: an option that egraff's Equiformer lacks.
    """
    TABLE.require("basis_type", config.get("basis_type", "exp"), "exp", "gaussian")
    weights = NamedWeights(state, "an Equiformer of the authors' repository")
    embedding = weights["atom_embed.atom_type_lin.tp.weight"]
    bias = weights["atom_embed.atom_type_lin.bias.0"]
    embedding = embedding.reshape(embedding.numel() // bias.numel(), bias.numel())
    numbers = embedded_numbers(elements, len(embedding), where="Equiformer model")
    options = {
        **TABLE.translate(config),
        "elements": list(elements),
        "dtype": str(embedding.dtype).removeprefix("torch."),
        "avg_num_neighbours": AVG_DEGREE,
        "energy_scale": (config.get("scale") or 1.0) / math.sqrt(AVG_NUM_NODES),
        "isolated_atom": "network",
        "smooth_cutoff": False,
    }
    model = build("equiformer", **options)
    target = Target(model)
    target["embedding.weight"] = embedding[numbers] + bias

    copier = _Copier(weights, target, dict(model.named_modules()))
    names = {"centres": "means", "widths": "betas"}
    if model.config.basis_type == "gaussian":
        copier.basis_scale = math.sqrt(math.pi / ROUNDED_PI)
        names = {"centres": "mean", "widths": "std", "slope": "weight", "offset": "bias"}
    for ours, theirs in names.items():
        target.fill(f"basis.{ours}", weights[f"rbf.{theirs}"])
    copier.edge_degree()
    for number in range(len(model.blocks)):
        copier.block(f"blocks.{number}", mlp=model.config.attention == "mlp")
    copier.norm("norm", "norm")
    copier.linear("head.0", "hidden")
    copier.linear("head.2", "readout")
    return options, target.finished()


class _Copier:
    """Moves weights, one kind of module at a time."""

    def __init__(
        self,
        weights: NamedWeights,
        target: Target,
        modules: dict[str, torch.nn.Module],
    ) -> None:
        self.weights = weights
        self.target = target
        self.modules = modules
        self.basis_scale = 1.0

    def linear(self, theirs: str, ours: str) -> None:
        """Copy an equivariant linear map; egraff's divides by the square root of the fan-in."""
        weight = self.weights[f"{theirs}.tp.weight"].clone()
        for _, n_in, n_out, _, start in self.modules[ours].paths:
            weight[start : start + n_in * n_out] *= math.sqrt(n_in)
        self.target[f"{ours}.weight"] = weight
        if f"{theirs}.bias.0" in self.weights:
            self.target[f"{ours}.bias"] = self.weights[f"{theirs}.bias.0"]

    def norm(self, theirs: str, ours: str) -> None:
        """Copy a layer norm."""
        self.target[f"{ours}.weight"] = self.weights[f"{theirs}.affine_weight"]
        self.target[f"{ours}.bias"] = self.weights[f"{theirs}.affine_bias"]

    def radial(self, theirs: str, ours: str) -> None:
        """Copy a radial network; the last map keeps as many outputs as the product here needs."""
        n_weights = self.target[f"{ours}.output.bias"].shape[0]
        prefix = f"{theirs}.net."
        names = [name.removeprefix(prefix) for name in self.weights if name.startswith(prefix)]
        last = str(max(int(name.partition(".")[0]) for name in names))
        for name in names:
            value = self.weights[prefix + name]
            if name == "0.weight":
                value = value * self.basis_scale
            if name == f"{last}.weight":
                self.target[f"{ours}.output.weight"] = value[:n_weights]
            else:
                self.target[f"{ours}.hidden.{name}"] = value
        self.target[f"{ours}.output.bias"] = self.weights[f"{theirs}.offset"][:n_weights]

    def edge_degree(self) -> None:
        """Copy the edge-degree embedding, whose features other than even scalars are zero."""
        theirs, ours = "edge_deg_embed", "edge_degree"
        constant = self.weights[f"{theirs}.exp.tp.weight"] + self.weights[f"{theirs}.exp.bias.0"]
        self.target[f"{ours}.constant"] = constant
        self.radial(f"{theirs}.rad", f"{ours}.radial")
        self.target[f"{ours}.bias"] = self.weights[f"{theirs}.proj.bias.0"]

        projection = self.modules[f"{ours}.projection"]
        weight = self.weights[f"{theirs}.proj.tp.weight"]
        irreps = projection.irreps_out
        full = _full_product(irreps, self.modules[""].config.irreps_sh)
        parts = []
        start = 0
        for block in full:  # both sides have each irrep once, in the same order
            if block.ir not in irreps:
                continue
            n_out = irreps.count(block.ir)
            stop = start + block.mul * n_out
            # channels that come from even scalars are the first of each irrep
            n_in = projection.irreps_in.count(block.ir)
            rows = weight[start:stop].reshape(block.mul, n_out)[:n_in]
            parts.append(rows.reshape(-1) * math.sqrt(max(n_in, 1)))
            start = stop
        self.target[f"{ours}.projection.weight"] = torch.cat(parts)

    def block(self, name: str, *, mlp: bool) -> None:
        """Copy a transformer block."""
        self.norm(f"{name}.norm_1", f"{name}.attention_norm")
        self.norm(f"{name}.norm_2", f"{name}.feed_forward_norm")
        theirs, ours = f"{name}.{'ga' if mlp else 'dpa'}", f"{name}.attention"
        self.linear(f"{theirs}.merge_src", f"{ours}.merge_neighbour")
        self.linear(f"{theirs}.merge_dst", f"{ours}.merge_centre")
        self.linear(f"{theirs}.proj", f"{ours}.projection")
        if not mlp:
            self.radial(f"{theirs}.key_value.dtp_rad", f"{ours}.dot_product.radial")
            self.linear(f"{theirs}.key_value.lin", f"{ours}.dot_product.key_value")
            self.linear(f"{theirs}.query", f"{ours}.dot_product.query")
        else:
            self.target[f"{ours}.mlp.direction"] = self.weights[f"{theirs}.alpha_dot"][0]
            if f"{theirs}.sep_alpha.tp.weight" in self.weights:
                self.radial(f"{theirs}.sep_act.dtp_rad", f"{ours}.mlp.radial")
                self.linear(f"{theirs}.sep_alpha", f"{ours}.mlp.score")
                self.linear(f"{theirs}.sep_act.lin", f"{ours}.mlp.value.first")
                product = self.weights[f"{theirs}.sep_value.dtp.tp.weight"]
                self.target[f"{ours}.mlp.value.weight"] = product[None]
                self.linear(f"{theirs}.sep_value.lin", f"{ours}.mlp.value.second")
            else:
                self.radial(f"{theirs}.sep.dtp_rad", f"{ours}.mlp.radial")
                self.linear(f"{theirs}.sep.lin", f"{ours}.mlp.score")
        self.linear(f"{name}.ffn.fctp_1", f"{name}.feed_forward.first")
        self.linear(f"{name}.ffn.fctp_2", f"{name}.feed_forward.second")
        if f"{name}.ffn_shortcut.tp.weight" in self.weights:
            self.linear(f"{name}.ffn_shortcut", f"{name}.shortcut")


def _full_product(irreps: o3.Irreps, irreps_sh: str) -> o3.Irreps:
    """Return the irreps of the product of all features with the harmonics."""
    return DepthwiseProduct(irreps, o3.Irreps(irreps_sh), irreps).irreps_out
