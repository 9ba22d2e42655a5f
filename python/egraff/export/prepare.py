# SPDX-License-Identifier: GPL-2.0-or-later
"""What is written to a model file, in whatever format: the model, its metadata, its check frame."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from egraff import __version__, provenance
from egraff.export.agreement import FUSED_TOLERANCE, RELATIVE_TOLERANCE, tolerance_on
from egraff.forces import Prediction, predict
from egraff.fusion import can_fuse
from egraff.fusion import fuse as fuse_model
from egraff.graph import Graph, graph_of_atoms
from egraff.metadata import CONTRACT
from egraff.models.base import ForceField

MODEL_LICENCE = "not stated by the author of the model"

# A stored frame with more of these would make the file large and its loading slow.
MAX_CHECK_EDGES = 2000
MAX_CHECK_ATOMS = 200
# Other machines, threads and devices round in other places than the one that exports.
ELSEWHERE = 10


@dataclass(frozen=True)
class Prepared:
    """What is written to a file, in whatever format.

    Attributes:
        model: the eager model.
        written: the same, with fused operators if they are wanted.
        graphs: where both must agree, by name.
        metadata: all but what belongs to one format.
        tolerance: for :func:`egraff.export.compare`, where the model is well-conditioned.
    """

    model: ForceField
    written: ForceField
    graphs: dict[str, Graph]
    metadata: dict[str, Any]
    tolerance: float

    def tolerance_on(self, graph: Graph) -> float:
        """Return the tolerance for one graph; see :func:`egraff.export.agreement.tolerance_on`."""
        return tolerance_on(self.model, graph, least=self.tolerance)


def prepare(
    model: ForceField,
    *,
    structure: Atoms | None,
    training_data: Mapping[str, Any] | None,
    licence: str,
    fuse: bool | None,
) -> Prepared:
    """Describe, evaluate and, if wanted, fuse a model.

    The arguments are those of :func:`egraff.export.export_torchscript`.

    Raises:
        DisagreementError: the model has so much rounding that nothing can be compared with it.
        EgraffError: fused operators were asked for, and there are none for this model.
    """
    model = model.eval()
    frames = verification_frames(model, structure)
    checked = predict(model, frames[0][1])
    metadata = describe(model, training_data=training_data, licence=licence)
    if fuse is None:
        fuse = can_fuse(model)
    tolerance = (FUSED_TOLERANCE if fuse else RELATIVE_TOLERANCE)[model.dtype]
    names = ("check frame", "isolated atoms", "no atoms")
    graphs = {name: graph for name, (_, graph) in zip(names, frames, strict=True)}
    frame, graph = frames[0]
    stored = _stored_frame(
        model, frame, graph, checked, ELSEWHERE * tolerance_on(model, graph, least=tolerance)
    )
    written = model
    metadata |= {"check_frame": stored, "fused": fuse, "blocks_inside": False}
    if fuse:
        fused = fuse_model(model)
        written = fused.model
        # its rows may be padded
        metadata["exchange_widths"] = written.exchange_widths
        metadata["blocks_inside"] = written.blocks_inside
        metadata["radial_tables"] = fused.tables
    return Prepared(model, written, graphs, metadata, tolerance)


def describe(
    model: ForceField,
    *,
    training_data: Mapping[str, Any] | None = None,
    licence: str = MODEL_LICENCE,
) -> dict[str, Any]:
    """Return the metadata of a model, without the check frame."""
    return {
        "contract": CONTRACT,
        "egraff_version": __version__,
        "architecture": model.architecture,
        "config": model.config.model_dump(),
        "elements": model.elements,
        "r_max": model.r_max,
        "pair_cutoffs": model.pair_cutoffs,
        "dtype": model.dtype,
        "exchange_widths": model.exchange_widths,
        "outputs": model.outputs,
        "units": {"energy": "eV", "length": "Angstrom"},
        "torch_version": torch.__version__.split("+")[0],
        "created": provenance.now(),
        "training_data": dict(training_data or {}),
        "licence": licence,
        "citations": model.cited(),
        "weights_sha256": weights_sha256(model),
    }


def weights_sha256(model: torch.nn.Module) -> str:
    """Return the SHA-256 over names and bytes of all weights, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def verification_frames(model: ForceField, structure: Atoms | None) -> list[tuple[Atoms, Graph]]:
    """Return the frames on which an exported model must agree with the eager one.

    The first is ``structure`` or a made-up crystal, then one isolated atom of each element far
    from all others, then no atoms at all (an MPI rank can be empty).
    """
    chosen = structure
    if (
        chosen is None
        or len(chosen) > MAX_CHECK_ATOMS
        or _graph(model, chosen).edge_index.shape[1] > MAX_CHECK_EDGES
    ):
        chosen = made_up_structure(model.elements)
    apart = Atoms(
        model.elements,
        positions=[[2.5 * model.r_max * k, 0.0, 0.0] for k in range(len(model.elements))],
    )
    return [(atoms, _graph(model, atoms)) for atoms in (chosen, apart, Atoms())]


def made_up_structure(elements: list[str]) -> Atoms:
    """Return a distorted simple cubic cell of at least eight atoms with every element in it.

    The spacing follows covalent radii, so that distances are those of a dense material.
    """
    side = 2
    while side**3 < 2 * len(elements):
        side += 1
    radii = [covalent_radii[atomic_numbers[element]] for element in elements]
    spacing = 2.4 * float(np.mean(radii))
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    shake = np.random.default_rng(20101).uniform(-0.12, 0.12, size=sites.shape)
    symbols = [elements[k % len(elements)] for k in range(len(sites))]
    return Atoms(symbols, positions=(sites + shake) * spacing, cell=[side * spacing] * 3, pbc=True)


def _graph(model: ForceField, atoms: Atoms) -> Graph:
    return graph_of_atoms(
        atoms,
        elements=model.elements,
        r_max=model.r_max,
        pair_cutoffs=model.pair_cutoffs,
    )


def _stored_frame(
    model: ForceField, atoms: Atoms, graph: Graph, expected: Prediction, tolerance: float
) -> dict[str, Any]:
    """Return the check frame as plain lists; floats keep all their digits in JSON."""
    energy = float(expected.energy)
    binding = energy - sum(model.config.energy_shift[k] for k in graph.species.tolist())
    return {
        "symbols": atoms.get_chemical_symbols(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.array.tolist() if atoms.pbc.any() else None,
        "pbc": atoms.pbc.tolist(),
        "energy": energy,
        "forces": expected.forces.tolist(),
        "energy_tolerance": tolerance * max(1.0, abs(binding)),
        "force_tolerance": tolerance * max(1.0, float(expected.forces.abs().max())),
    }
