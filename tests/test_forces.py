# SPDX-License-Identifier: GPL-2.0-or-later
"""Forces, virial and stress from edge gradients, for a pair potential with known derivatives."""

import numpy as np
import pytest
import torch
from ase.build import bulk

from egraff.forces import predict
from egraff.graph import build_graph, collate, graph_of_atoms


class Spring(torch.nn.Module):
    """E = sum over directed edges of (r - 3)^4 / 2 for r < 3: smooth at its cutoff."""

    dtype = "float64"

    def forward(self, species, edge_index, edge_vec, n_local):
        length = torch.linalg.vector_norm(edge_vec, dim=1)
        share = 0.5 * (length - 3.0) ** 4
        energy = torch.zeros(n_local, dtype=edge_vec.dtype)
        return {"atomic_energy": energy.index_add(0, edge_index[0], share)}


def graph_of(atoms):
    return graph_of_atoms(
        atoms,
        elements=["Cu"],
        r_max=3.0,
    )


@pytest.fixture
def crystal():
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
    atoms.rattle(0.1, seed=3)
    return atoms


def test_force_of_a_dimer():
    graph = build_graph(
        ["Cu", "Cu"], [[0, 0, 0], [0, 0, 2.5]], None, False, elements=["Cu"], r_max=3.0
    )
    result = predict(Spring(), graph)
    # dE/dr = 4 (r - 3)^3 = -0.5 eV/A: the atoms push each other apart
    assert result.energy.item() == pytest.approx(0.5**4)
    np.testing.assert_allclose(result.forces, [[0, 0, -0.5], [0, 0, 0.5]], atol=1e-14)
    # W = sum over atoms of r . F = 2.5 * 0.5 along z, positive when they repel
    np.testing.assert_allclose(result.virial[0], np.diag([0, 0, 1.25]), atol=1e-14)
    assert torch.isnan(result.stress).all()


def test_stress_is_the_derivative_by_strain(crystal):
    stress = predict(Spring(), graph_of(crystal)).stress[0]
    step = 1e-5
    for i in range(3):
        for j in range(3):
            energies = []
            for sign in (1, -1):
                strain = np.eye(3)
                strain[i, j] += 0.5 * sign * step
                strain[j, i] += 0.5 * sign * step
                strained = crystal.copy()
                strained.set_cell(crystal.cell.array @ strain, scale_atoms=True)
                energies.append(predict(Spring(), graph_of(strained)).energy.item())
            expected = (energies[0] - energies[1]) / (2 * step) / crystal.get_volume()
            assert stress[i, j].item() == pytest.approx(expected, rel=1e-6, abs=1e-10)


def test_forces_sum_to_zero_in_each_frame(crystal):
    result = predict(Spring(), collate([graph_of(crystal), graph_of(crystal * (2, 1, 1))]))
    assert result.energy.shape == (2,)
    assert result.energy[1].item() == pytest.approx(2 * result.energy[0].item())
    assert result.forces[:4].sum(0).abs().max() < 1e-13
    np.testing.assert_allclose(result.stress[0], result.stress[1], atol=1e-15)


def test_results_carry_no_graph_unless_asked(crystal):
    assert not predict(Spring(), graph_of(crystal)).atomic_energy.requires_grad
