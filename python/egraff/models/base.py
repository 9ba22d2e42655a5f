# SPDX-License-Identifier: GPL-2.0-or-later
"""What every architecture shares: the contract towards training, export and LAMMPS.

Contract, version 2. A model maps

    species     int64 [n_nodes]      index into ``elements``
    edge_index  int64 [2, n_edges]   row 0 the receiving centre i < n_local (ascending), row 1 the
                                     neighbour j < n_nodes (rows n_local.. are ghosts)
    edge_vec    dtype [n_edges, 3]   r_j - r_i in Angstrom, |r| < r_max
    n_local     int

to a dictionary with ``atomic_energy``, float64 ``[n_local]`` in eV, and possibly further named
outputs per local atom. Atoms meet only along edges: no operation may mix all atoms of a frame.
Before an interaction reads features that neighbours computed, the model calls
``egraff::ghost_exchange``, the same number of times in the same order whatever its input, so that
several MPI ranks can evaluate one system together; it must run on zero edges and zero atoms. Rows
of ghosts are to be read by way of edges only: where no edge ends, they may hold anything.

A model never writes in place into tensors that it was given: its inputs, and what an exchange was
given or has returned. Engines keep the former, and let the latter share memory.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ase.data import atomic_numbers
from e3nn import o3
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import Tensor, nn

from egraff.models.originals import Original
from egraff.nn.edges import Distances, Edges, PairCutoffs, bare_edges
from egraff.nn.species import EnergyScaleShift


class ModelConfig(BaseModel):
    """Options that every architecture has. Unknown options are refused.

    Attributes:
        presets: named options: ``small`` to start with, the papers', and those of EGraFFBench
            (see :mod:`egraff.models`).
        tiny: options for tests.
        elements: chemical symbols, in the order of the species indices.
        r_max: cutoff in Angstrom.
        pair_cutoffs: shorter cutoffs for some pairs, ``{"H": 2.0, "O": {"H": 3.0}}``: first the
            receiving centre, then the neighbour; pairs that are not named use ``r_max``.
        dtype: floating-point type of the network.
        avg_num_neighbours: mean number of edges per atom in the training set; normalises sums.
        energy_scale: ``[n_species]`` in eV, or one number for all.
        energy_shift: ``[n_species]`` in eV, or one number for all: the isolated atoms' energies.
        energy_scale_trainable: learn the scales.
        energy_shift_trainable: learn the shifts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    tiny: ClassVar[dict[str, Any]] = {}

    elements: list[str] = Field(min_length=1)
    r_max: float = Field(gt=0)
    pair_cutoffs: dict[str, float | dict[str, float]] | None = None
    dtype: Literal["float32", "float64"] = "float32"
    avg_num_neighbours: float = Field(default=1.0, gt=0)
    energy_scale: list[float] = [1.0]
    energy_shift: list[float] = [0.0]
    energy_scale_trainable: bool = False
    energy_shift_trainable: bool = False

    @field_validator("elements")
    @classmethod
    def _known_and_unique(cls, elements: list[str]) -> list[str]:
        unknown = [symbol for symbol in elements if symbol not in atomic_numbers]
        if unknown:
            raise ValueError(f"not chemical symbols: {', '.join(unknown)}")
        if len(set(elements)) != len(elements):
            raise ValueError(f"each element once, got {elements}")
        return elements

    @field_validator("energy_scale", "energy_shift", mode="before")
    @classmethod
    def _number_or_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _one_value_per_element(self) -> ModelConfig:
        for name in ("energy_scale", "energy_shift"):
            values = getattr(self, name)
            if len(values) == 1 and len(self.elements) > 1:
                object.__setattr__(self, name, values * len(self.elements))
            elif len(values) != len(self.elements):
                raise ValueError(
                    f"{name}: expected 1 or {len(self.elements)} values, got {len(values)}"
                )
        self.cutoff_table()
        return self

    def scale_shift(self) -> EnergyScaleShift:
        """Return the block that turns what a network gives into energies."""
        return EnergyScaleShift(
            self.energy_scale,
            self.energy_shift,
            scale_trainable=self.energy_scale_trainable,
            shift_trainable=self.energy_shift_trainable,
        )

    def cutoff_table(self) -> list[list[float]] | None:
        """Return the cutoff of every pair, ``[n_species][n_species]``, or None if all are r_max."""
        if self.pair_cutoffs is None:
            return None
        named = set(self.pair_cutoffs) | {
            other
            for entry in self.pair_cutoffs.values()
            if isinstance(entry, dict)
            for other in entry
        }
        if unknown := named - set(self.elements):
            raise ValueError(f"pair_cutoffs: unknown elements {', '.join(sorted(unknown))}")
        table = []
        for centre in self.elements:
            entry = self.pair_cutoffs.get(centre, self.r_max)
            table.append(
                [
                    entry.get(other, self.r_max) if isinstance(entry, dict) else entry
                    for other in self.elements
                ]
            )
        if not all(0 < value <= self.r_max for row in table for value in row):
            raise ValueError(f"pair_cutoffs: expected values in (0, r_max = {self.r_max}]")
        return table


def parse_irreps(text: str) -> o3.Irreps:
    """Return the irreps that an option names.

    Raises:
        ValueError: it names none.
    """
    try:
        return o3.Irreps(text)
    except ValueError as error:
        raise ValueError(f"expected irreps such as 16x0e+8x1o, got {text!r}") from error


class ForceField(nn.Module):
    """Base of the architectures; subclasses implement :meth:`forward` as the contract says.

    Attributes:
        architecture: name under which :func:`egraff.models.build` knows the class.
        citations: the papers to cite, one line each.
        Config: the pydantic class of its options.
        original: what it was compared with, if there is a converter.
        config: the options of this instance.
        elements: chemical symbols in the order of the species indices.
        n_species: number of elements.
        r_max: cutoff in Angstrom.
        pair_cutoffs: ``[n_species][n_species]`` in Angstrom, row = receiving centre, or None.
        cutoffs: the same as a block, which measures edges in units of the cutoff; None in a fused
            model, whose layers do so themselves.
        dtype: ``"float32"`` or ``"float64"``.
        exchange_widths: columns of each ghost exchange, in the order in which they happen.
        outputs: names of the outputs.
        blocks_inside: its operators go through the edges in blocks, so that memory does not grow
            when it sees all edges at once.
    """

    architecture: ClassVar[str]
    citations: ClassVar[list[str]]
    Config: ClassVar[type[ModelConfig]]
    original: ClassVar[Original | None] = None
    blocks_inside: ClassVar[bool] = False
    # TorchScript wants the types of lists, which may be empty, here rather than in __init__
    elements: list[str]
    exchange_widths: list[int]
    outputs: list[str]

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.elements = list(config.elements)
        self.n_species: int = len(config.elements)
        self.r_max: float = config.r_max
        self.pair_cutoffs = config.cutoff_table()
        self.cutoffs: PairCutoffs | None = PairCutoffs(
            config.r_max, len(config.elements), self.pair_cutoffs
        )
        self.register_load_state_dict_pre_hook(_without_cutoffs)
        self.dtype: str = config.dtype
        self.exchange_widths = []
        self.outputs = ["atomic_energy"]

    def forward(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int
    ) -> dict[str, Tensor]:
        """Evaluate the model; see the contract at the top of this module."""
        # not an abstract method: TorchScript has none
        raise NotImplementedError(f"{type(self).__name__} must implement forward")

    def embed_edges(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int
    ) -> Edges:
        """Return what layers read of the edges, for models with harmonics and radial functions."""
        if self.cutoffs is None:
            return bare_edges(species, edge_index, edge_vec, n_local)
        radial, envelope = self.radial_functions(self.cutoffs(species, edge_index, edge_vec))
        dtype = edge_vec.dtype
        if envelope is not None:
            envelope = envelope.to(dtype)
        harmonics = self.harmonics(edge_vec)
        return Edges(edge_vec, edge_index, species, n_local, harmonics, radial.to(dtype), envelope)

    def radial_functions(self, distances: Distances) -> tuple[Tensor, Tensor | None]:
        """Return the radial basis and, where it is not part of that, the envelope.

        Evaluated in float64; of a fused model, what follows from them is in tables.

        Returns:
            ``[n_edges, n_basis]`` and ``[n_edges]``.
        """
        # not an abstract method: models without embed_edges have none
        raise NotImplementedError(f"{type(self).__name__} must implement radial_functions")

    def cited(self) -> list[str]:
        """Return the papers to cite for this instance, one line each."""
        return list(self.citations)

    def radial_kink(self) -> float | None:
        """Return where second derivatives of the radial functions jump, in units of the cutoff.

        None where they jump nowhere, the cutoff included.
        """
        return None


def _without_cutoffs(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """Leave out what older checkpoints say of cutoffs, rounded to their type: options say it."""
    state.pop(f"{prefix}inverse_cutoff", None)
