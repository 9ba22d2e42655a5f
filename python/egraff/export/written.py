# SPDX-License-Identifier: GPL-2.0-or-later
"""The file that was written, loaded and evaluated by the code that LAMMPS runs."""

from __future__ import annotations

import os
from os import PathLike

import torch

from egraff import ops
from egraff.export.agreement import compare_predictions
from egraff.export.prepare import Prepared
from egraff.forces import Prediction, edge_virial, predict
from egraff.graph import Graph


def check_written(prepared: Prepared, path: str | PathLike[str], *, what: str) -> None:
    """Compare a model file with the model that it was made of, and with its own check frame.

    Args:
        prepared: what was written.
        path: the file.
        what: the two forms in words, for the message.

    Raises:
        DisagreementError: they differ.
        ModelFileError: the file cannot be loaded, or does not reproduce its check frame.
        InputError: the file gives results that are not finite.
    """
    model = ops.core().Model(os.fsencode(path), verify=False)
    for name, graph in prepared.graphs.items():
        compare_predictions(
            predict(prepared.model, graph),
            _evaluate(model, graph),
            what=f"{what}, {name}",
            tolerance=prepared.tolerance_on(graph),
        )
    model.verify()


def _evaluate(model, graph: Graph) -> Prediction:
    found = model.evaluate(graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms)
    virial = edge_virial(graph, found["edge_gradient"])
    return Prediction(
        energy=torch.tensor([found["energy"]], dtype=torch.float64),
        atomic_energy=found["atomic_energy"],
        forces=found["forces"],
        virial=virial,
        stress=-virial / graph.volume,
        edge_gradient=found["edge_gradient"],
    )
