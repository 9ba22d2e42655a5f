# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of Equiformer (:mod:`egraff.models.equiformer`)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from e3nn import o3
from pydantic import Field, PositiveInt, field_validator, model_validator

from egraff.models.base import parse_irreps
from egraff.models.isolated import IsolatedAtomConfig
from egraff.nn.equivariant import sort_even_first

# the paper's MD17 table, l up to 2, rotations only, with 32 basis functions: the authors'
# graph_attention_transformer_nonlinear_exp_l2_md17
_PAPER: dict[str, Any] = {
    "irreps_node_embedding": "128x0e+64x1e+32x2e",
    "irreps_sh": "1x0e+1x1e+1x2e",
    "irreps_head": "32x0e+16x1e+8x2e",
    "irreps_mlp_mid": "384x0e+192x1e+96x2e",
    "irreps_feature": "512x0e",
    "num_layers": 6,
    "num_heads": 4,
    "number_of_basis": 32,
    "basis_type": "exp",
    "fc_neurons": [64, 64],
}


class EquiformerConfig(IsolatedAtomConfig):
    """Options of Equiformer beyond those of every model. Irreps are written as e3nn writes them.

    Attributes:
        irreps_node_embedding: features of an atom, even scalars first.
        irreps_sh: harmonics, one of each l from 0 on; ``1o`` or ``1e`` as the features have it.
        irreps_head: features of one attention head.
        irreps_pre_attn: features of a message; default: those of an atom.
        irreps_mlp_mid: features inside a feed-forward block.
        irreps_feature: features that the last block makes, even scalars only.
        num_layers: transformer blocks.
        num_heads: attention heads.
        attention: ``mlp`` or ``dot_product``.
        nonlinear_message: pass values through a gate and a second product; ``mlp`` only.
        number_of_basis: radial basis functions.
        basis_type: ``exp`` (exponential-normal), ``gaussian`` (learnt) or ``bessel``.
        fc_neurons: widths of the hidden layers of the radial networks.
        alpha_drop: share of attention weights dropped in training.
        proj_drop: share of the channels dropped in training from what every attention and
            feed-forward block adds.
        out_drop: share of the channels dropped in training before the readout.
        drop_path_rate: share of the training steps in which an attention or feed-forward block
            adds nothing.
        smooth_cutoff: let edges vanish smoothly at the cutoff.
        cutoff_p: exponent of the polynomial envelope that does so.
    """

    irreps_node_embedding: str = "128x0e+64x1o+32x2e"
    irreps_sh: str = "1x0e+1x1o+1x2e"
    irreps_head: str = "32x0e+16x1o+8x2e"
    irreps_pre_attn: str | None = None
    irreps_mlp_mid: str = "384x0e+192x1o+96x2e"
    irreps_feature: str = "512x0e"
    num_layers: int = Field(default=6, ge=1)
    num_heads: int = Field(default=4, ge=1)
    attention: Literal["mlp", "dot_product"] = "mlp"
    nonlinear_message: bool = True
    number_of_basis: int = Field(default=32, ge=1)
    basis_type: Literal["exp", "gaussian", "bessel"] = "exp"
    fc_neurons: list[PositiveInt] = Field(default=[64, 64], min_length=1)
    alpha_drop: float = Field(default=0.0, ge=0.0, lt=1.0)
    proj_drop: float = Field(default=0.0, ge=0.0, lt=1.0)
    out_drop: float = Field(default=0.0, ge=0.0, lt=1.0)
    drop_path_rate: float = Field(default=0.0, ge=0.0, lt=1.0)
    smooth_cutoff: bool = True
    cutoff_p: float = Field(default=6.0, ge=2.0)

    #: named options; ``small`` is egraff's own, to start with
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {
            # tensors of l = 2 would take 1.7 times the time
            "irreps_node_embedding": "16x0e+8x1o",
            "irreps_sh": "1x0e+1x1o",
            "irreps_head": "8x0e+4x1o",
            "irreps_mlp_mid": "16x0e+8x1o",
            "irreps_feature": "32x0e",
            "num_layers": 2,
            "num_heads": 2,
            "number_of_basis": 16,
            "fc_neurons": [32],
        },
        "paper": _PAPER,
        # the same with l up to 3
        "paper_l3": {
            **_PAPER,
            "irreps_node_embedding": "128x0e+64x1e+64x2e+32x3e",
            "irreps_sh": "1x0e+1x1e+1x2e+1x3e",
            "irreps_head": "32x0e+16x1e+16x2e+8x3e",
            "irreps_mlp_mid": "384x0e+192x1e+192x2e+96x3e",
        },
        # graph_attention_transformer_nonlinear_l2_md17 of the authors' repository
        "md17": {**_PAPER, "number_of_basis": 128, "basis_type": "gaussian", "alpha_drop": 0.2},
        # as the benchmark ran it, the paper's model of l up to 2: the energy jumps at the cutoff.
        # All logs count 3,496,001 weights. These are 3,414,785 for four elements: what is missing
        # multiplies zeros or embeds elements that do not occur (test_benchmark_counts.py)
        "egraffbench": {**_PAPER, "smooth_cutoff": False},
    }
    #: every mechanism of the architecture at widths that a test can afford
    tiny: ClassVar[dict[str, Any]] = {
        "irreps_node_embedding": "8x0e+4x1o+2x2e",
        "irreps_sh": "1x0e+1x1o+1x2e",
        "irreps_head": "4x0e+2x1o+1x2e",
        "irreps_mlp_mid": "8x0e+4x1o+2x2e",
        "irreps_feature": "8x0e",
        "num_layers": 2,
        "num_heads": 2,
        "number_of_basis": 6,
        "fc_neurons": [8],
    }

    @field_validator(
        "irreps_node_embedding",
        "irreps_sh",
        "irreps_head",
        "irreps_pre_attn",
        "irreps_mlp_mid",
        "irreps_feature",
    )
    @classmethod
    def _sorted_with_scalars(cls, text: str | None) -> str | None:
        if text is None:
            return None
        irreps = parse_irreps(text)
        if irreps.count("0e") == 0 or irreps != sort_even_first(irreps)[0].simplify():
            raise ValueError(
                "expected even scalars first, then each irrep once by increasing l, even before "
                f"odd, such as 16x0e+8x1o+4x2e, got {text!r}"
            )
        return text

    @model_validator(mode="after")
    def _fits_together(self) -> EquiformerConfig:
        orders = [(block.mul, block.ir.l) for block in o3.Irreps(self.irreps_sh)]
        if orders != [(1, order) for order in range(len(orders))]:
            raise ValueError(
                "irreps_sh: expected one harmonic of each l from 0 on, such as 1x0e+1x1o+1x2e, "
                f"got {self.irreps_sh!r}"
            )
        if any(block.ir != o3.Irrep("0e") for block in o3.Irreps(self.irreps_feature)):
            raise ValueError(
                f"irreps_feature: expected even scalars only, got {self.irreps_feature!r}"
            )
        return self
