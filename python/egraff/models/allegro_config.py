# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of Allegro (:mod:`egraff.models.allegro`)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from egraff.models.neighbour_counts import NeighbourCountsConfig

Nonlinearity = Literal["silu", "mish", "gelu", "ssp", "tanh"] | None


# the paper's models of revised MD17 (Nat. Commun. 14, 579 (2023), training details): fixed Bessel
# functions, no nonlinearity in the edge energies; the last layers of the networks, 1024 wide, are
# linear. The cutoff was 7 Angstrom. Not compared with the authors' files
_PAPER: dict[str, Any] = {
    "n_layers": 3,
    "l_max": 3,
    "parity": True,
    "n_scalar_features": 1024,
    "n_tensor_features": 128,
    "n_bessel": 8,
    "cutoff_p": 6.0,
    "embedding_hidden": [128, 256, 512],
    "latent_hidden": [1024, 1024],
    "readout_hidden": [128],
    "readout_nonlinearity": None,
    "latent_update": "residual",
}


class AllegroConfig(NeighbourCountsConfig):
    """Options of Allegro beyond those of every model.

    Attributes:
        n_layers: layers, each one tensor product.
        l_max: highest order of harmonics and tensor features.
        parity: carry tensor features of both parities; otherwise only those of the harmonics. It
            matters from three layers on: only then can the other parity lead back to an energy.
        n_scalar_features: channels of the scalar track.
        n_tensor_features: channels of the tensor track.
        radial_basis: ``bessel``, mixed and multiplied by element embeddings, or ``spline``, with
            functions of its own for every pair of elements.
        n_bessel: Bessel functions.
        bessel_trainable: learn their roots.
        cutoff_p: exponent of the polynomial envelope of the Bessel functions.
        n_splines: bumps of the spline.
        spline_span: how many of them overlap.
        embedding_channels: channels of the two-body embedding before its network, even for
            ``bessel``; default: ``n_scalar_features``.
        embedding_hidden: widths of the hidden layers of the two-body network.
        embedding_nonlinearity: between its layers.
        latent_hidden: widths of the hidden layers of the scalar track's networks.
        latent_nonlinearity: between their layers.
        readout_hidden: widths of the hidden layers of the edge energy network.
        readout_nonlinearity: between its layers.
        path_channel_coupling: weights of a tensor product for each path and channel; otherwise
            for each path.
        individual_weights: weights of the environment for each l; otherwise one for all l.
        latent_update: ``concatenate`` the scalars of all layers (nequip-allegro 0.8) or
            ``residual``, x^L = c x^(L-1) + c' MLP(x^(L-1), scalars), c^2 + c'^2 = 1 with a learnt
            ratio (the paper).
    """

    n_layers: int = Field(default=2, ge=1)
    l_max: int = Field(default=1, ge=0)
    parity: bool = True
    n_scalar_features: int = Field(default=64, ge=1)
    n_tensor_features: int = Field(default=16, ge=1)
    radial_basis: Literal["bessel", "spline"] = "bessel"
    n_bessel: int = Field(default=8, ge=1)
    bessel_trainable: bool = False
    cutoff_p: float = Field(default=6.0, ge=2.0)
    n_splines: int = Field(default=16, ge=1)
    spline_span: int = Field(default=12, ge=0)
    embedding_channels: int | None = Field(default=None, ge=1)
    embedding_hidden: list[PositiveInt] = Field(default=[64])
    embedding_nonlinearity: Nonlinearity = "silu"
    latent_hidden: list[PositiveInt] = Field(default=[64])
    latent_nonlinearity: Nonlinearity = "silu"
    readout_hidden: list[PositiveInt] = Field(default=[32])
    readout_nonlinearity: Nonlinearity = "silu"
    path_channel_coupling: bool = True
    individual_weights: bool = True
    latent_update: Literal["concatenate", "residual"] = "concatenate"

    #: named options; ``small`` is egraff's own, to start with
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {
            # with l_max 2 force errors on the embedded molecule are a third lower, but the barrier
            # to a hole beside its data is 0.1 to 0.2 eV, as with eight radial functions; so it is
            # 0.5 eV (see BOTNet's)
            "n_layers": 2,
            "l_max": 1,
            "n_bessel": 5,
            "n_scalar_features": 32,
            "n_tensor_features": 8,
            "embedding_hidden": [32],
            "latent_hidden": [32],
            "readout_hidden": [16],
        },
        # the nequip-allegro package's tutorial
        "medium": {
            "n_layers": 2,
            "l_max": 2,
            "n_scalar_features": 64,
            "n_tensor_features": 32,
            "embedding_hidden": [64],
            "latent_hidden": [64],
            "readout_hidden": [32],
        },
        "paper": _PAPER,
        # those of 3BPA: nonlinear in the distance only; the cutoff was 5 Angstrom
        "paper_3bpa": {**_PAPER, "cutoff_p": 2.0, "latent_nonlinearity": None},
        # allegro 0.2. The log on LiPS20 counts 8,152,968 weights, which its layers make up exactly.
        # These are 9,023,498, as the layers are those of allegro 0.8: a linear map more before the
        # first layer, elements times radial functions instead of side by side, products weighted
        # instead of mixed by a matrix, and one scalar of each product instead of one for each path.
        # Counted in tests/models/test_benchmark_counts.py; on learnt scales, see NequIP's
        "egraffbench": {
            **_PAPER,
            "n_layers": 2,
            "l_max": 2,
            "n_tensor_features": 64,
            "bessel_trainable": True,
        },
    }
    #: every mechanism of the architecture at widths that a test can afford
    tiny: ClassVar[dict[str, Any]] = {
        "n_layers": 2,
        "l_max": 2,
        "n_scalar_features": 8,
        "n_tensor_features": 4,
        "n_bessel": 4,
        "embedding_hidden": [8],
        "latent_hidden": [8],
        "readout_hidden": [8],
    }

    @model_validator(mode="after")
    def _embedding_fits(self) -> AllegroConfig:
        if self.radial_basis == "bessel" and self.two_body_channels() % 2:
            raise ValueError(
                "embedding_channels (or n_scalar_features in its place): expected an even number, "
                f"half for each of the two elements, got {self.two_body_channels()}"
            )
        if self.spline_span > self.n_splines:
            raise ValueError(
                f"spline_span: expected at most n_splines = {self.n_splines}, "
                f"got {self.spline_span}"
            )
        return self

    def two_body_channels(self) -> int:
        """Return the channels of the two-body embedding before its network."""
        return self.embedding_channels or self.n_scalar_features
