# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of MACE (:mod:`egraff.models.mace`)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from e3nn import o3
from pydantic import Field, field_validator, model_validator

from egraff.models.base import parse_irreps
from egraff.models.isolated import IsolatedAtomConfig

Kind = Literal[
    "real_agnostic",
    "real_agnostic_residual",
    "real_agnostic_density",
    "real_agnostic_density_residual",
]


class MACEConfig(IsolatedAtomConfig):
    """Options of MACE beyond those of every model.

    Attributes:
        n_layers: interaction layers.
        l_max: highest order of the harmonics.
        hidden_irreps: irreps of the features, even scalars first, each with the same number of
            channels, for example ``64x0e + 64x1o``.
        correlation: body order of the product minus one: one number, or one for each layer.
        interaction_first: kind of the first interaction.
        interaction: kind of the others.
        radial_basis: functions of the distance; ``chebyshev`` needs a transform to (0, 1).
        n_radial: how many.
        distance_transform: map applied to distances before the basis.
        cutoff_p: exponent of the polynomial envelope.
        apply_cutoff: multiply the envelope to the basis; otherwise to the radial network's output.
        radial_widths: hidden widths of the radial networks.
        edge_irreps: irreps of the neighbours' features in the interactions; default: all.
        edge_irreps_first: use the scalars of ``edge_irreps`` in the first interaction, too.
        readout_width: hidden width of the last readout.
        gate: its activation.
        last_readout_only: read energies from the last layer only.
        species_product: weights of the product for each element, rather than in common.
        zbl: add the screened repulsion of the nuclei.
        zbl_scale: factor on that energy (mace-torch's ``ScaleShiftMACE`` multiplies its scale).
        heads: names of the sets of readouts.
        head: the one that is used; default: the first.
        head_energy_scale: ``energy_scale`` of each head, where they differ.
        head_energy_shift: ``energy_shift`` of each head, where they differ.
    """

    n_layers: int = Field(default=2, ge=1)
    l_max: int = Field(default=3, ge=0)
    hidden_irreps: str = "128x0e + 128x1o"
    correlation: int | list[int] = 3
    interaction_first: Kind = "real_agnostic"
    interaction: Kind = "real_agnostic_residual"
    radial_basis: Literal["bessel", "gaussian", "chebyshev"] = "bessel"
    n_radial: int = Field(default=8, ge=2)
    distance_transform: Literal["none", "agnesi", "soft"] = "none"
    cutoff_p: float = Field(default=5.0, ge=2.0)
    apply_cutoff: bool = True
    radial_widths: list[int] = Field(default=[64, 64, 64])
    edge_irreps: str | None = None
    edge_irreps_first: bool = False
    readout_width: int = Field(default=16, ge=1)
    gate: Literal["silu", "tanh", "abs", "none"] = "silu"
    last_readout_only: bool = False
    species_product: bool = True
    zbl: bool = False
    zbl_scale: float = 1.0
    heads: list[str] = Field(default=["default"], min_length=1)
    head: str | None = None
    head_energy_scale: dict[str, list[float]] | None = None
    head_energy_shift: dict[str, list[float]] | None = None

    #: named options; ``small`` is egraff's own, to start with
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {
            "hidden_irreps": "16x0e + 16x1o",
            "l_max": 2,
            "correlation": 3,
            "radial_widths": [32, 32],
        },
        # the authors' command for the paper's 3BPA and AcAc models (README of their first release)
        "paper": {
            "hidden_irreps": "256x0e + 256x1o + 256x2e",
            "l_max": 3,
            "correlation": 3,
            "interaction_first": "real_agnostic_residual",
        },
        # shape of the medium MACE-MP-0 (arXiv:2401.00096) ...
        "mp_0": {
            "hidden_irreps": "128x0e + 128x1o",
            "l_max": 3,
            "correlation": 3,
            "n_radial": 10,
            "interaction_first": "real_agnostic_residual",
        },
        # ... and of its successors with a safer short range and density normalisation
        "mp_0b": {
            "hidden_irreps": "128x0e + 128x1o",
            "l_max": 3,
            "correlation": 3,
            "n_radial": 10,
            "interaction_first": "real_agnostic_density",
            "interaction": "real_agnostic_density_residual",
            "distance_transform": "agnesi",
            "zbl": True,
        },
        # a sixteenth of the paper's channels
        "egraffbench": {
            "hidden_irreps": "16x0e + 16x1o + 16x2e",
            "l_max": 3,
            "correlation": 3,
            "interaction_first": "real_agnostic_residual",
        },
        # what EGraFFBench ran and reported under the name BOTNet
        "mace-c1-n5": {
            "n_layers": 5,
            "hidden_irreps": "16x0e + 16x1o + 16x2e",
            "l_max": 3,
            "correlation": 1,
            "interaction_first": "real_agnostic_residual",
        },
    }
    #: every mechanism of the architecture at widths that a test can afford
    tiny: ClassVar[dict[str, Any]] = {
        "hidden_irreps": "8x0e + 8x1o",
        "l_max": 2,
        "correlation": 3,
        "n_radial": 4,
        "radial_widths": [8, 8],
        "readout_width": 4,
    }

    @field_validator("hidden_irreps")
    @classmethod
    def _scalars_first_and_equal_channels(cls, text: str) -> str:
        irreps = parse_irreps(text)
        if not irreps or irreps[0].ir != o3.Irrep("0e"):
            raise ValueError(f"expected even scalars first, as in 64x0e + 64x1o, got {irreps}")
        if len({block.mul for block in irreps}) > 1:
            raise ValueError(f"expected the same number of channels for every irrep, got {irreps}")
        if len({block.ir for block in irreps}) < len(irreps):
            raise ValueError(f"expected each irrep once, got {irreps}")
        return text

    @field_validator("edge_irreps")
    @classmethod
    def _known_irreps(cls, text: str | None) -> str | None:
        if text is not None:
            parse_irreps(text)
        return text

    @model_validator(mode="after")
    def _layers_and_heads(self) -> MACEConfig:
        if len(self.correlations()) != self.n_layers or min(self.correlations()) < 1:
            raise ValueError(
                f"correlation: expected one positive number, or one for each of {self.n_layers} "
                f"layers, got {self.correlation}"
            )
        if self.head is not None and self.head not in self.heads:
            raise ValueError(f"head: expected one of {', '.join(self.heads)}, got {self.head!r}")
        if self.radial_basis == "chebyshev" and self.distance_transform != "agnesi":
            raise ValueError(
                "radial_basis: chebyshev polynomials need distances in (0, 1), "
                "as distance_transform = agnesi makes them"
            )
        for name in ("energy_scale", "energy_shift"):
            of_heads = getattr(self, f"head_{name}")
            if of_heads is None:
                continue
            sizes = {len(values) for values in of_heads.values()}
            if set(of_heads) != set(self.heads) or sizes != {len(self.elements)}:
                raise ValueError(
                    f"head_{name}: expected {len(self.elements)} values for each of "
                    f"{', '.join(self.heads)}"
                )
            object.__setattr__(self, name, of_heads[self.active_head()])
        return self

    def correlations(self) -> list[int]:
        """Return the correlation order of each layer."""
        if isinstance(self.correlation, int):
            return [self.correlation] * self.n_layers
        return self.correlation

    def active_head(self) -> str:
        """Return the name of the head that is used."""
        return self.heads[0] if self.head is None else self.head
