# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames as graphs, and their order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms

from egraff.data import frame_from_atoms, read_frames
from egraff.errors import InputError
from egraff.training.dataset import ShuffledBatches, frame_graph, join_graphs, read_splits
from tests.training.toy import frames, settings, write


def test_the_order_depends_on_seed_and_epoch_alone():
    batches = ShuffledBatches(10, batch_size=4, seed=3)
    first = list(batches)
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert len(batches) == 3
    assert sorted(number for batch in first for number in batch) == list(range(10))
    assert list(batches) == first
    batches.set_epoch(1)
    assert list(batches) != first
    batches.set_epoch(0)
    assert list(batches) == first
    assert list(ShuffledBatches(10, batch_size=4, seed=4)) != first


def test_graphs_are_joined_up_to_a_number_of_atoms(data):
    graphs = [
        frame_graph(frame, elements=["Al", "Cu"], r_max=3.0)
        for frame in read_frames(data / "train.xyz", index=":5")
    ]
    assert [graph.n_atoms for graph in graphs] == [4, 3, 4, 4, 4]
    joined = list(join_graphs(graphs, max_atoms=8))
    assert [batch.n_atoms for batch in joined] == [7, 8, 4]
    assert [batch.n_frames for batch in join_graphs(graphs, max_atoms=1)] == [1, 1, 1, 1, 1]
    assert list(join_graphs([])) == []


def test_missing_labels_are_not_numbers():
    bare = frame_from_atoms(Atoms("H2", [[0, 0, 0], [0, 0, 0.8]]))
    graph = frame_graph(bare, elements=["H"], r_max=2.0)
    assert torch.isnan(graph.energy).all()
    assert torch.isnan(graph.forces).all()
    assert torch.isnan(graph.stress).all()


def test_stress_of_a_slab_counts_as_missing():
    slab = Atoms("H", cell=np.eye(3) * 3, pbc=(True, True, False), info={"stress": np.ones(6)})
    graph = frame_graph(frame_from_atoms(slab), elements=["H"], r_max=2.0)
    assert torch.isnan(graph.stress).all()
    slab.pbc = True
    graph = frame_graph(frame_from_atoms(slab), elements=["H"], r_max=2.0)
    assert (graph.stress == 1).all()


def test_elements_are_those_of_the_training_frames(data):
    splits = read_splits(settings(data))
    assert splits.elements == ["Al", "Cu"]
    assert len(splits.train), len(splits.val) == (40, 12)
    assert splits.remarks == []
    assert splits.isolated == []


def test_an_element_that_only_validation_has(data, tmp_path):
    other = frames(3, 2)
    other[1].symbols[0] = "Au"
    config = settings(data, val=str(write(tmp_path / "val.xyz", other)))
    with pytest.raises(InputError, match=r"frame 1, elements: Au not among the elements of the mo"):
        read_splits(config)


def test_stress_weight_without_stress(data, tmp_path):
    clusters = [image for image in frames(1, 6) if not image.pbc.any()]
    config = settings(data, data=str(write(tmp_path / "train.xyz", clusters)))
    with pytest.raises(InputError, match=r"stress_weight is 10, but no training frame has"):
        read_splits(config)
