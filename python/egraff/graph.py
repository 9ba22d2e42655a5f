# SPDX-License-Identifier: GPL-2.0-or-later
"""The graph a model sees: species, directed edges, edge vectors.

A model never sees positions or cells (model contract, version 2): forces, virial and stress all
follow from the derivative of the energy with respect to the edge vectors (see
:mod:`egraff.forces`), in training, in the ASE calculator and in LAMMPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from ase import Atoms
from numpy.typing import ArrayLike
from torch import Tensor

from egraff.errors import InputError
from egraff.neighbours import find_edges


@dataclass(frozen=True)
class Graph:
    """One structure, or several side by side, with periodic images folded on their owners.

    Attributes:
        species: ``[n_atoms]`` int64, index into the model's ``elements``.
        edge_index: ``[2, n_edges]`` int64, row 0 the receiving centre (ascending), row 1 the
            neighbour.
        edge_vec: ``[n_edges, 3]`` float64, r_j - r_i in Angstrom, periodic image included.
        frame: ``[n_atoms]`` int64, which structure each atom belongs to.
        n_atoms_per_frame: ``[n_frames]`` int64.
        volume: ``[n_frames]`` float64 in A^3; NaN for a structure that is not periodic in all
            three directions, whose stress is not defined.
        energy: ``[n_frames]`` float64 labels in eV, or None.
        forces: ``[n_atoms, 3]`` float64 labels in eV/A, or None.
        stress: ``[n_frames, 3, 3]`` float64 labels in eV/A^3 (NaN where unlabelled), or None.
    """

    species: Tensor
    edge_index: Tensor
    edge_vec: Tensor
    frame: Tensor
    n_atoms_per_frame: Tensor
    volume: Tensor
    energy: Tensor | None = None
    forces: Tensor | None = None
    stress: Tensor | None = None

    @property
    def n_atoms(self) -> int:
        """Number of atoms in all frames."""
        return self.species.shape[0]

    @property
    def n_frames(self) -> int:
        """Number of structures side by side."""
        return self.n_atoms_per_frame.shape[0]

    def to(self, device: torch.device | str) -> Graph:
        """Return the graph on another device."""
        moved = {
            field.name: value.to(device)
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        }
        return replace(self, **moved)


def species_indices(symbols: Sequence[str], elements: Sequence[str]) -> np.ndarray:
    """Map chemical symbols to indices into ``elements``.

    Returns:
        ``[n_atoms]`` int64.

    Raises:
        InputError: an element that the model does not know.
    """
    index = {element: number for number, element in enumerate(elements)}
    unknown = sorted(set(symbols) - set(index))
    if unknown:
        raise InputError(
            f"expected only {', '.join(elements)}, got {', '.join(unknown)}",
            field="elements",
            fix="train a model that knows these elements, or remove the atoms",
        )
    return np.fromiter((index[symbol] for symbol in symbols), dtype=np.int64, count=len(symbols))


def build_graph(
    symbols: Sequence[str],
    positions: ArrayLike,
    cell: ArrayLike | None,
    pbc: ArrayLike,
    *,
    elements: Sequence[str],
    r_max: float,
    pair_cutoffs: ArrayLike | None = None,
    energy: float | None = None,
    forces: ArrayLike | None = None,
    stress: ArrayLike | None = None,
) -> Graph:
    """Make the graph of one structure.

    Args:
        symbols: ``[n_atoms]`` chemical symbols.
        positions: ``[n_atoms, 3]`` in Angstrom.
        cell: ``[3, 3]`` lattice vectors in rows, in Angstrom, or None.
        pbc: ``[3]`` booleans.
        elements: the model's elements, in its order.
        r_max: the model's cutoff in Angstrom.
        pair_cutoffs: ``[n_species, n_species]`` in Angstrom, row = centre, or None.
        energy: label in eV.
        forces: ``[n_atoms, 3]`` labels in eV/A.
        stress: ``[3, 3]`` label in eV/A^3, tension positive.

    Raises:
        InputError: unknown element, non-finite positions, missing cell.
    """
    species = species_indices(symbols, elements)
    periodic = np.broadcast_to(np.asarray(pbc, dtype=bool), (3,))
    edges = find_edges(
        positions, cell, periodic, r_max=r_max, species=species, pair_cutoffs=pair_cutoffs
    )
    volume = abs(np.linalg.det(np.asarray(cell, dtype=np.float64))) if periodic.all() else np.nan
    n_atoms = len(species)
    return Graph(
        species=torch.from_numpy(species),
        edge_index=torch.from_numpy(edges.index),
        edge_vec=torch.from_numpy(edges.vector),
        frame=torch.zeros(n_atoms, dtype=torch.int64),
        n_atoms_per_frame=torch.tensor([n_atoms]),
        volume=torch.tensor([volume], dtype=torch.float64),
        energy=None if energy is None else torch.tensor([energy], dtype=torch.float64),
        forces=None if forces is None else _float64(forces).reshape(n_atoms, 3),
        stress=None if stress is None else _float64(stress).reshape(1, 3, 3),
    )


def graph_of_atoms(
    atoms: Atoms,
    *,
    elements: Sequence[str],
    r_max: float,
    pair_cutoffs: ArrayLike | None = None,
) -> Graph:
    """Make the graph of a structure without labels; see :func:`build_graph`.

    Raises:
        InputError: unknown element, non-finite positions.
    """
    return build_graph(
        atoms.get_chemical_symbols(),
        atoms.positions,
        atoms.cell.array,
        atoms.pbc,
        elements=elements,
        r_max=r_max,
        pair_cutoffs=pair_cutoffs,
    )


def collate(graphs: Sequence[Graph]) -> Graph:
    """Put graphs side by side; no edge connects two of them.

    Labels survive when every graph has them. A batch in which only some frames carry a stress
    keeps NaN for the others, so that a loss can leave them out.
    """
    sizes = torch.cat([graph.n_atoms_per_frame for graph in graphs])
    starts = np.cumsum([0] + [graph.n_atoms for graph in graphs])
    frames = np.cumsum([0] + [graph.n_frames for graph in graphs])
    stress = None
    if any(graph.stress is not None for graph in graphs):
        stress = torch.cat([_stress_or_nan(graph) for graph in graphs])
    return Graph(
        species=torch.cat([graph.species for graph in graphs]),
        edge_index=torch.cat(
            [g.edge_index + int(start) for g, start in zip(graphs, starts, strict=False)], dim=1
        ),
        edge_vec=torch.cat([graph.edge_vec for graph in graphs]),
        frame=torch.cat([g.frame + int(first) for g, first in zip(graphs, frames, strict=False)]),
        n_atoms_per_frame=sizes,
        volume=torch.cat([graph.volume for graph in graphs]),
        energy=_cat_if_all([graph.energy for graph in graphs]),
        forces=_cat_if_all([graph.forces for graph in graphs]),
        stress=stress,
    )


def _float64(values: ArrayLike) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float64))


def _stress_or_nan(graph: Graph) -> Tensor:
    if graph.stress is not None:
        return graph.stress
    return torch.full((graph.n_frames, 3, 3), torch.nan, dtype=torch.float64)


def _cat_if_all(tensors: Sequence[Tensor | None]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(present) if len(present) == len(tensors) else None
