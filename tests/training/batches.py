# SPDX-License-Identifier: GPL-2.0-or-later
"""A batch of labelled frames, and a prediction that is wrong by known amounts."""

from __future__ import annotations

import torch

from egraff.forces import Prediction
from egraff.graph import Graph

NAN = torch.nan


def batch() -> Graph:
    """A molecule of two atoms and a crystal of one, volume 10 A^3."""
    return Graph(
        species=torch.tensor([0, 0, 0]),
        edge_index=torch.zeros(2, 0, dtype=torch.int64),
        edge_vec=torch.zeros(0, 3, dtype=torch.float64),
        frame=torch.tensor([0, 0, 1]),
        n_atoms_per_frame=torch.tensor([2, 1]),
        volume=torch.tensor([NAN, 10.0], dtype=torch.float64),
        energy=torch.tensor([-4.0, -3.0], dtype=torch.float64),
        forces=torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 0, 0]], dtype=torch.float64),
        stress=torch.stack(
            [torch.full((3, 3), NAN), torch.diag(torch.tensor([0.3, 0.0, 0.0]))]
        ).double(),
    )


def prediction(graph: Graph) -> Prediction:
    """Energies off by 0.2 and 0.1 eV, forces by 0.3 eV/A in one component, no virial."""
    forces = graph.forces.clone()
    forces[1, 2] += 0.3
    virial = torch.zeros(2, 3, 3, dtype=torch.float64)
    return Prediction(
        energy=graph.energy + torch.tensor([0.2, -0.1], dtype=torch.float64),
        atomic_energy=torch.zeros(3, dtype=torch.float64),
        forces=forces,
        virial=virial,
        stress=-virial / graph.volume[:, None, None],
        edge_gradient=torch.zeros(0, 3, dtype=torch.float64),
    )
