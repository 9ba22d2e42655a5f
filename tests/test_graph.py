# SPDX-License-Identifier: GPL-2.0-or-later
"""Graphs and their batches."""

import numpy as np
import pytest
import torch

from egraff.errors import InputError
from egraff.graph import build_graph, collate, species_indices


def water(**labels):
    positions = [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]
    return build_graph(
        ["O", "H", "H"], positions, None, False, elements=["H", "O"], r_max=3.0, **labels
    )


def test_one_structure():
    graph = water(energy=-3.0, forces=np.ones((3, 3)))
    assert graph.species.tolist() == [1, 0, 0]
    assert graph.edge_index.shape == (2, 6)
    assert graph.edge_vec.dtype == torch.float64
    assert torch.isnan(graph.volume).all()
    assert graph.energy.tolist() == [-3.0]


def test_volume_of_a_periodic_structure():
    graph = build_graph(
        ["O"], [[0, 0, 0]], np.diag([2.0, 3.0, -4.0]), True, elements=["O"], r_max=1.0
    )
    assert graph.volume.item() == pytest.approx(24.0)


def test_batch_keeps_structures_apart():
    batch = collate([water(), water(), water()])
    assert batch.n_frames == 3
    assert batch.frame.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert (batch.frame[batch.edge_index[0]] == batch.frame[batch.edge_index[1]]).all()
    assert (batch.edge_index[0].diff() >= 0).all()


def test_labels_survive_only_when_all_have_them():
    assert collate([water(energy=1.0), water()]).energy is None
    assert collate([water(energy=1.0), water(energy=2.0)]).energy.tolist() == [1.0, 2.0]


def test_missing_stress_is_nan_in_a_mixed_batch():
    stress = collate([water(stress=np.eye(3)), water()]).stress
    assert torch.equal(stress[0], torch.eye(3, dtype=torch.float64))
    assert torch.isnan(stress[1]).all()


def test_labels_are_copies():
    forces = np.ones((3, 3))
    graph = water(forces=forces)
    forces[:] = 7
    assert (graph.forces == 1).all()


def test_unknown_element():
    with pytest.raises(InputError, match=r"elements: expected only H, O, got Xe, Zn"):
        species_indices(["O", "Zn", "Xe"], ["H", "O"])


def test_moves_between_devices():
    assert water(energy=1.0).to("cpu").energy.device.type == "cpu"
