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
from tests.training.toy import frames, label, settings, write


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


def test_stress_weight_with_the_stress_under_another_name(data, tmp_path):
    images = frames(1, 6)
    for image in images:
        stress = image.calc.results.pop("stress", None)
        if stress is not None:
            image.info["dft_stress"] = stress
    images.sort(key=lambda image: not image.pbc.all())
    config = settings(data, data=str(write(tmp_path / "train.xyz", images)))
    with pytest.raises(
        InputError, match=r"no training frame has a stress\n.*--stress-key dft_stre"
    ):
        read_splits(config)
    named = settings(data, data=config.data, stress_key="dft_stress")
    assert sum(frame.stress is not None for frame in read_splits(named).train) == 3


def test_stress_weight_with_slabs(data, tmp_path):
    slabs = [image for image in frames(1, 8) if image.pbc.all()]
    for slab in slabs:
        slab.pbc = (True, True, False)
    path = write(tmp_path / "train.xyz", slabs)
    with pytest.raises(InputError, match=r"the 4 training frames with a stress are not periodic i"):
        read_splits(settings(data, data=str(path)))
    splits = read_splits(settings(data, data=str(path), stress_weight=0))
    assert "the stress of 4 frames (frames 0, 1, 2, ...) is not used" in splits.remarks[0]


def test_a_virial_becomes_a_stress(data, tmp_path):
    images = frames(1, 6)
    for image in images:
        if image.pbc.all():
            stress = image.get_stress(voigt=False)
            del image.calc.results["stress"]
            image.info["virial"] = -stress * image.get_volume()
    path = write(tmp_path / "train.xyz", images)
    splits = read_splits(settings(data, data=str(path)))
    expected = read_frames(data / "train.xyz", index=":6")
    for one, other in zip(splits.train, expected, strict=True):
        if other.stress is not None:
            # files keep 16 digits of a virial
            np.testing.assert_allclose(one.stress, other.stress, rtol=1e-6, atol=1e-12)
    assert "the stress of 3 frames is -virial/volume" in splits.remarks[0]


def test_isolated_atoms_are_in_neither_part(data, tmp_path):
    atoms = [label(Atoms(symbol, info={"config_type": "IsolatedAtom"})) for symbol in ("Al", "Cu")]
    # without forces, as some programs write them
    del atoms[1].calc.results["forces"]
    train = write(tmp_path / "train.xyz", [atoms[0], *frames(1, 20), atoms[1]])
    for changes in ({"val": None, "val_fraction": 0.2}, {}):
        splits = read_splits(settings(data, data=str(train), **changes))
        assert [frame.source[1] for frame in splits.isolated] == [0, 21]
        assert all(len(frame) > 1 for frame in (*splits.train, *splits.val))
        assert splits.remarks == []
    both = read_splits(settings(data, data=str(train), val=str(write(tmp_path / "v.xyz", atoms * 2
        + frames(2, 4)))))  # fmt: skip
    assert len(both.isolated) == 6
    assert len(both.val) == 4
    alone = write(tmp_path / "alone.xyz", atoms)
    with pytest.raises(InputError, match=r"to learn from, got 2 isolated atoms only\n.*--isolated"):
        read_splits(settings(data, data=str(alone)))
