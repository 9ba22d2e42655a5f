# SPDX-License-Identifier: GPL-2.0-or-later
"""Write a model as one self-describing file, after proving that it is the same model.

The file is an archive, of TorchScript or of AOTInductor (:mod:`egraff.export_aoti`), with one
extra file, ``egraff.json``: format, contract version,
architecture and options, elements, cutoffs, dtype, ghost exchanges, units, versions, the identity
of the training data, licence, citations, a checksum of the weights, and a small frame with its
energy, forces and virial, which every program that loads the file may verify.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from e3nn.util import jit

from egraff import __version__, provenance
from egraff.errors import DisagreementError
from egraff.files import atomic_path
from egraff.forces import Prediction, predict
from egraff.fusion import can_fuse
from egraff.fusion import fuse as fuse_model
from egraff.graph import Graph, graph_of_atoms
from egraff.metadata import CONTRACT
from egraff.models.base import ForceField

METADATA_FILE = "egraff.json"
MODEL_LICENCE = "not stated by the author of the model"

# Largest difference between two evaluations of one model, relative to the size of the numbers
# involved. float32 leaves room for another order of summation.
RELATIVE_TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
# A fused model also has tables in place of networks.
FUSED_TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
# Fused operators and compilers reorder sums: of two orders, each may be as far from the exact sum.
ORDERS = 2
# A stored frame with more edges than this would make the file large and its loading slow.
MAX_CHECK_EDGES = 2000


def export_torchscript(
    model: ForceField,
    target: str | PathLike[str],
    *,
    structure: Atoms | None = None,
    training_data: Mapping[str, Any] | None = None,
    licence: str = MODEL_LICENCE,
    fuse: bool | None = False,
) -> dict[str, Any]:
    """Write ``model`` to ``target``.

    Args:
        model: an eager model; its dtype is the file's.
        target: the file to write, by custom ``NAME.egraff.pt``.
        structure: a frame like those the model will see, stored for verification; a made-up one
            is used when it is missing or has more than ``MAX_CHECK_EDGES`` edges.
        training_data: what the model was trained on (names, hashes, numbers of frames).
        licence: terms under which the model's weights may be used.
        fuse: use fused operators, which run on the CPU only (:mod:`egraff.fusion`); None uses them
            where there are any for the model.

    Returns:
        The metadata in the file.

    Raises:
        DisagreementError: the exported model differs from the eager one; nothing is written.
        EgraffError: fused operators were asked for, and there are none for this model.
    """
    prepared = prepare(
        model, structure=structure, training_data=training_data, licence=licence, fuse=fuse
    )
    prepared.metadata["format"] = "torchscript"
    text = json.dumps(prepared.metadata)
    archive = io.BytesIO()
    with warnings.catch_warnings():
        # every release of torch tells that TorchScript is deprecated; it still loads anywhere
        warnings.simplefilter("ignore", DeprecationWarning)
        # in place, e3nn would leave TorchScript inside the caller's model
        scripted = jit.script(prepared.written, in_place=False)
        torch.jit.save(scripted, archive, _extra_files={METADATA_FILE: text})
        # what is compared is what was written, not the object that it was written from
        archive.seek(0)
        reloaded = torch.jit.load(archive)
    for name, graph in prepared.graphs.items():
        what = f"exported and eager model, {name}"
        compare(prepared.model, reloaded, graph, what=what, tolerance=prepared.tolerance_on(graph))
    with atomic_path(target) as partial:
        partial.write_bytes(archive.getvalue())
    return prepared.metadata


@dataclass(frozen=True)
class Prepared:
    """What is written to a file, in whatever format.

    Attributes:
        model: the eager model.
        written: the same, with fused operators if they are wanted.
        graphs: where both must agree, by name.
        metadata: all but what belongs to one format.
        tolerance: for :func:`compare`, where the model is well-conditioned.
    """

    model: ForceField
    written: ForceField
    graphs: dict[str, Graph]
    metadata: dict[str, Any]
    tolerance: float

    def tolerance_on(self, graph: Graph) -> float:
        """Return the tolerance for one graph: large terms that cancel leave more rounding."""
        return max(self.tolerance, ORDERS * rounding(self.model, graph))


def float64_form(model: ForceField) -> ForceField:
    """Return the same weights in float64."""
    exact = copy.deepcopy(model).to(torch.float64)
    exact.dtype = "float64"
    return exact


def rounding(model: ForceField, graph: Graph) -> float:
    """How far a float32 model is from its float64 form, relative as in :func:`compare`."""
    if model.dtype == "float64":
        return 0.0
    rounded, exact = predict(model, graph), predict(float64_form(model), graph)
    errors = [0.0]
    for name in ("atomic_energy", "forces", "virial"):
        a, b = getattr(rounded, name), getattr(exact, name)
        if b.numel():
            errors.append(float((a - b).abs().max()) / max(1.0, float(b.abs().max())))
    return max(errors)


def prepare(
    model: ForceField,
    *,
    structure: Atoms | None,
    training_data: Mapping[str, Any] | None,
    licence: str,
    fuse: bool | None,
) -> Prepared:
    """Describe, evaluate and, if wanted, fuse a model; see :func:`export_torchscript`.

    Raises:
        EgraffError: fused operators were asked for, and there are none for this model.
    """
    model = model.eval()
    frames = verification_frames(model, structure)
    checked = predict(model, frames[0][1])
    metadata = describe(model, training_data=training_data, licence=licence)
    if fuse is None:
        fuse = can_fuse(model)
    tolerance = (FUSED_TOLERANCE if fuse else RELATIVE_TOLERANCE)[model.dtype]
    metadata["check_frame"] = _stored_frame(model, *frames[0], checked, tolerance)
    metadata["fused"] = fuse
    written = model
    if fuse:
        fused = fuse_model(model)
        written = fused.model
        # its rows may be padded
        metadata["exchange_widths"] = written.exchange_widths
        metadata["blocks_inside"] = written.blocks_inside
        metadata["radial_tables"] = fused.tables
    names = ("check frame", "isolated atoms", "no atoms")
    graphs = {name: graph for name, (_, graph) in zip(names, frames, strict=True)}
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
        "citations": list(model.citations),
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
    if chosen is None or _graph(model, chosen).edge_index.shape[1] > MAX_CHECK_EDGES:
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


def compare(
    model: torch.nn.Module,
    other: torch.nn.Module,
    graph: Graph,
    *,
    what: str,
    tolerance: float | None = None,
) -> dict[str, float]:
    """Check that two forms of one model agree on a graph.

    Args:
        model: the form to trust.
        other: the form to check.
        graph: where to evaluate both.
        what: the two forms in words, for the message.
        tolerance: relative to the largest value, or to 1 if that is smaller; default: that of two
            evaluations in the model's dtype.

    Returns:
        Largest differences: ``energy`` in eV, ``forces`` in eV/A, ``virial`` in eV.

    Raises:
        DisagreementError: with both values and the tolerance.
    """
    if tolerance is None:
        tolerance = RELATIVE_TOLERANCE[model.dtype]
    return compare_predictions(
        predict(model, graph), predict(other, graph), what=what, tolerance=tolerance
    )


def compare_predictions(
    first: Prediction, second: Prediction, *, what: str, tolerance: float
) -> dict[str, float]:
    """Check that two forms of one model gave the same; see :func:`compare`."""
    largest = {}
    for name, unit in (("atomic_energy", "eV"), ("forces", "eV/A"), ("virial", "eV")):
        a, b = getattr(first, name), getattr(second, name)
        difference = float((a - b).abs().max()) if a.numel() else 0.0
        scale = max(1.0, float(a.abs().max())) if a.numel() else 1.0
        # a difference that is not a number is a disagreement too
        if not difference <= tolerance * scale:
            raise DisagreementError(
                f"{what}: {name} differ by {difference:.3e} {unit}, expected at most "
                f"{tolerance * scale:.1e}; this is a defect of the export, please report it"
            )
        largest[name] = difference
    return largest


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
    tolerance = 10 * tolerance  # other machines, threads and devices
    energy = float(expected.energy)
    binding = energy - sum(model.config.energy_shift[k] for k in graph.species.tolist())
    return {
        "species": graph.species.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.array.tolist() if atoms.pbc.any() else None,
        "pbc": atoms.pbc.tolist(),
        "edge_index": graph.edge_index.tolist(),
        "edge_vec": graph.edge_vec.tolist(),
        "n_local": graph.n_atoms,
        "energy": energy,
        "forces": expected.forces.tolist(),
        "virial": expected.virial[0].tolist(),
        "energy_tolerance": tolerance * max(1.0, abs(binding)),
        "force_tolerance": tolerance * max(1.0, float(expected.forces.abs().max())),
    }
