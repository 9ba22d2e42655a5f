# SPDX-License-Identifier: GPL-2.0-or-later
"""Forces, virial and stress from one tensor: the derivative of the energy by the edge vectors.

With g_e = dE/dr_e for the edge e = (i, j), r_e = r_j - r_i:

    F_i = sum over edges centred on i of g_e  -  sum over edges that point to i of g_e
    stress = (1/V) sum over edges of r_e (x) g_e          (tension positive, ASE's sign)
    virial W = -sum over edges of r_e (x) g_e             (LAMMPS's sign)

These are exact for any model that depends on edge vectors only, many-body and message-passing
models included (chain rule; Fan et al., Phys. Rev. B 92, 094301 (2015) for the virial).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egraff.graph import Graph


@dataclass(frozen=True)
class Prediction:
    """What a model says about a graph. All float64.

    Attributes:
        energy: ``[n_frames]`` in eV.
        atomic_energy: ``[n_atoms]`` in eV.
        forces: ``[n_atoms, 3]`` in eV/A.
        virial: ``[n_frames, 3, 3]`` in eV, LAMMPS's sign.
        stress: ``[n_frames, 3, 3]`` in eV/A^3, tension positive; NaN where the volume is NaN.
        edge_gradient: ``[n_edges, 3]`` in eV/A, dE/d(edge vector).
    """

    energy: Tensor
    atomic_energy: Tensor
    forces: Tensor
    virial: Tensor
    stress: Tensor
    edge_gradient: Tensor


def predict(model: torch.nn.Module, graph: Graph, *, create_graph: bool = False) -> Prediction:
    """Evaluate a model and differentiate it.

    Args:
        model: a :class:`egraff.models.base.ForceField` or its TorchScript form.
        graph: one structure or several.
        create_graph: keep the graph of the derivative, so that a loss on the forces can be
            differentiated by the weights.
    """
    edge_vec = graph.edge_vec.to(getattr(torch, model.dtype)).detach().requires_grad_(True)
    with torch.enable_grad():
        atomic_energy = model(graph.species, graph.edge_index, edge_vec, graph.n_atoms)[
            "atomic_energy"
        ]
        (gradient,) = torch.autograd.grad(
            [atomic_energy.sum()], [edge_vec], create_graph=create_graph
        )
    if not create_graph:
        atomic_energy = atomic_energy.detach()
    gradient = gradient.to(torch.float64)
    energy = torch.zeros_like(graph.volume).index_add(0, graph.frame, atomic_energy)
    virial = edge_virial(graph, gradient)
    return Prediction(
        energy=energy,
        atomic_energy=atomic_energy,
        forces=edge_forces(graph, gradient),
        virial=virial,
        stress=_stress(virial, graph.volume),
        edge_gradient=gradient,
    )


def edge_forces(graph: Graph, gradient: Tensor) -> Tensor:
    """Sum edge gradients ``[n_edges, 3]`` into forces ``[n_atoms, 3]`` in eV/A."""
    forces = gradient.new_zeros(graph.n_atoms, 3)
    forces = forces.index_add(0, graph.edge_index[0], gradient)
    return forces.index_add(0, graph.edge_index[1], -gradient)


def edge_virial(graph: Graph, gradient: Tensor) -> Tensor:
    """Sum -r (x) g over the edges of each frame: ``[n_frames, 3, 3]`` in eV, symmetrised.

    The sum is symmetric for a rotation-invariant energy; symmetrising removes rounding only.
    """
    outer = -graph.edge_vec[:, :, None] * gradient[:, None, :]
    edge_frame = graph.frame[graph.edge_index[0]]
    virial = gradient.new_zeros(graph.n_frames, 3, 3).index_add(0, edge_frame, outer)
    return 0.5 * (virial + virial.transpose(1, 2))


def _stress(virial: Tensor, volume: Tensor) -> Tensor:
    """Divide by the volume; NaN where there is none, without NaN in the gradients of the others."""
    undefined = volume.isnan()[:, None, None]
    stress = -virial / volume.nan_to_num(1.0)[:, None, None]
    return stress.masked_fill(undefined, torch.nan)
