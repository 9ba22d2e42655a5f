# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of NequIP."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from e3nn import o3
from pydantic import Field, model_validator

from egraff.models.neighbour_counts import NeighbourCountsConfig


class NequIPConfig(NeighbourCountsConfig):
    """Options of NequIP beyond those of every model.

    Attributes:
        n_layers: interaction layers.
        l_max: highest order of harmonics and features.
        parity: carry features of both parities; otherwise only those of a polar tensor.
        group: ``o3`` knows parity; for ``so3`` all irreps are even, and products of any parity are
            made, so that a mirror image may have another energy.
        n_features: channels for each irrep: one number, or one for each l.
        n_type_features: channels of the element embedding; default: those of l = 0.
        resnet: add a layer's input to its output where the irreps agree (not in the first layer).
        self_connection: ``elements`` has a linear map for each element, ``common`` one for all.
        first_self_connection: whether the first layer has one, too.
        n_bessel: radial basis functions.
        bessel_trainable: learn the roots of the basis.
        cutoff_p: exponent of the polynomial envelope.
        xplor_onset: where X-PLOR's envelope begins to fall, in units of the cutoff; None for the
            polynomial envelope.
        radial_depth: hidden layers of the radial network.
        radial_width: their width.
        readout_depth: hidden layers of the readout.
        readout_width: their width; default: the number of features of l = 0.
    """

    n_layers: int = Field(default=4, ge=1)
    l_max: int = Field(default=1, ge=0)
    parity: bool = True
    group: Literal["o3", "so3"] = "o3"
    n_features: int | list[int] = 32
    n_type_features: int | None = Field(default=None, ge=1)
    resnet: bool = False
    self_connection: Literal["elements", "common"] = "elements"
    first_self_connection: bool = False
    n_bessel: int = Field(default=8, ge=1)
    bessel_trainable: bool = False
    cutoff_p: float = Field(default=6.0, ge=2.0)
    xplor_onset: float | None = Field(default=None, gt=0.0, lt=1.0)
    radial_depth: int = Field(default=1, ge=0)
    radial_width: int = Field(default=128, ge=1)
    readout_depth: int = Field(default=0, ge=0)
    readout_width: int | None = Field(default=None, ge=1)

    #: named options; ``small`` is egraff's own, to start with
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {
            "n_layers": 3,
            "l_max": 1,
            "parity": False,
            "n_features": [16, 16],
            "radial_depth": 1,
            "radial_width": 32,
        },
        # shapes of NequIP's foundation potentials, presets S to XL of the nequip package (0.19)
        "s": {
            "n_layers": 2,
            "l_max": 1,
            "parity": False,
            "n_features": [128, 64],
            "n_type_features": 32,
        },
        "m": {
            "n_layers": 4,
            "l_max": 2,
            "parity": False,
            "n_features": [128, 64, 32],
            "n_type_features": 32,
        },
        "l": {
            "n_layers": 6,
            "l_max": 3,
            "parity": False,
            "n_features": [128, 64, 32, 32],
            "n_type_features": 32,
        },
        "xl": {
            "n_layers": 6,
            "l_max": 4,
            "parity": False,
            "n_features": [320, 96, 64, 32, 32],
            "n_type_features": 32,
        },
        # defaults of the nequip package's tutorial
        "medium": {"n_layers": 4, "l_max": 2, "parity": True, "n_features": 32},
        # nequip 0.5.6. Its configurations ask for learnt scales and shifts of the energies
        # (`per_species_rescale_trainable`), by a name that nequip does not know
        "egraffbench": {
            "n_layers": 6,
            "l_max": 2,
            "parity": True,
            "n_features": 32,
            "n_bessel": 8,
            "bessel_trainable": True,
            "cutoff_p": 6.0,
            "radial_depth": 3,
            "radial_width": 64,
        },
    }
    #: every mechanism of the architecture at widths that a test can afford
    tiny: ClassVar[dict[str, Any]] = {
        "n_layers": 3,
        "l_max": 1,
        "parity": True,
        "n_features": 4,
        "n_bessel": 4,
        "radial_width": 8,
    }

    @model_validator(mode="after")
    def _features_for_each_l(self) -> NequIPConfig:
        if isinstance(self.n_features, list) and len(self.n_features) != self.l_max + 1:
            raise ValueError(
                f"n_features: expected one number or l_max + 1 = {self.l_max + 1} numbers, "
                f"got {len(self.n_features)}"
            )
        return self

    @model_validator(mode="after")
    def _parity_needs_its_group(self) -> NequIPConfig:
        if self.group == "so3" and self.parity:
            raise ValueError("parity: expected False for the group so3, which has no parity")
        return self

    def multiplicities(self) -> list[int]:
        """Return the channels for each l, ``[l_max + 1]``."""
        if isinstance(self.n_features, list):
            return self.n_features
        return [self.n_features] * (self.l_max + 1)

    def hidden_irreps(self) -> o3.Irreps:
        """Return the irreps of the hidden features."""
        return o3.Irreps(
            [
                (mul, (order, parity))
                for order, mul in enumerate(self.multiplicities())
                for parity in ((1, -1) if self.parity else (self.harmonic_parity() ** order,))
            ]
        )

    def harmonic_parity(self) -> int:
        """Return the parity of vectors: even where the group does not know it."""
        return 1 if self.group == "so3" else -1
