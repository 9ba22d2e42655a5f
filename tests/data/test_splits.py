# SPDX-License-Identifier: GPL-2.0-or-later
import dataclasses
import json
import re
from itertools import chain

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from egraff.data import (
    check_overlap,
    find_overlap,
    frame_from_atoms,
    load_splits,
    read_frames,
    save_splits,
    split_frames,
)
from egraff.errors import InputError
from egraff.files import sha256


def frames(n, *, seed=0, pbc=False):
    rng = np.random.default_rng(seed)
    result = []
    for number in range(n):
        atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
        atoms.positions += rng.normal(scale=0.1, size=(8, 3))
        atoms.pbc = pbc
        result.append(frame_from_atoms(atoms, source=("data.xyz", number)))
    return result


def numbers(splits):
    return {name: [frame.source[1] for frame in part] for name, part in splits.items()}


@pytest.mark.parametrize("n", [10, 11, 99, 100])
def test_fractions_of_one_use_every_frame_once(n):
    splits = numbers(split_frames(frames(n), {"train": 0.7, "val": 0.2, "test": 0.1}, seed=1))
    assert sorted(chain(*splits.values())) == list(range(n))
    assert len(splits["train"]) == round(0.7 * n)


def test_counts_seeds_and_order():
    data = frames(20)
    first = numbers(split_frames(data, {"train": 10, "test": 5}, seed=1))
    assert {name: len(part) for name, part in first.items()} == {"train": 10, "test": 5}
    assert first == numbers(split_frames(data, {"train": 10, "test": 5}, seed=1))
    assert first != numbers(split_frames(data, {"train": 10, "test": 5}, seed=2))
    assert all(part == sorted(part) for part in first.values())


def test_blocks_keep_the_order():
    splits = numbers(split_frames(frames(10), {"train": 0.5, "val": 2}, method="blocks"))
    assert splits == {"train": [0, 1, 2, 3, 4], "val": [5, 6]}


@pytest.mark.parametrize("size", [-1, 0, 1.5, -0.1])
def test_refuses_sizes_that_are_none(size):
    text = f"size of val: expected a number of frames or a fraction up to 1, got {size!r}"
    with pytest.raises(InputError, match=re.escape(text)):
        split_frames(frames(10), {"train": 5, "val": size})


def test_split_refusals():
    with pytest.raises(
        InputError, match=r"size of val: expected at least one .*, got none: 0.01 of 10"
    ):
        split_frames(frames(10), {"train": 0.8, "val": 0.01})
    with pytest.raises(
        InputError, match=re.escape("asked for 12 frames (train 9, val 3), there are 10")
    ):
        split_frames(frames(10), {"train": 9, "val": 3})
    with pytest.raises(InputError, match="method: expected random or blocks, got 'first'"):
        split_frames(frames(10), {"train": 5}, method="first")


def test_split_file_round_trip(tmp_path):
    source = tmp_path / "data.xyz"
    ase.io.write(source, [frame.to_atoms() for frame in frames(10)], format="extxyz")
    splits = split_frames(read_frames(source), {"train": 0.8, "val": 0.2}, seed=5)
    save_splits(tmp_path / "splits.json", splits, seed=5)
    content = json.loads((tmp_path / "splits.json").read_text())
    assert content["source"] == "data.xyz"
    assert content["source_sha256"] == sha256(source)
    assert content["seed"] == 5
    assert load_splits(tmp_path / "splits.json", source) == numbers(splits)


def test_split_file_refusals(tmp_path):
    source = tmp_path / "data.xyz"
    ase.io.write(source, [frame.to_atoms() for frame in frames(4)], format="extxyz")
    data = read_frames(source)
    save_splits(tmp_path / "splits.json", {"train": data})
    ase.io.write(source, data[0].to_atoms(), format="extxyz")
    with pytest.raises(InputError, match=r"made for other content of data.xyz: expected SHA-256"):
        load_splits(tmp_path / "splits.json", source)
    (tmp_path / "splits.json").write_text("{}")
    with pytest.raises(InputError, match=r"splits.json: not a split file \(KeyError: 'splits'\)"):
        load_splits(tmp_path / "splits.json", source)
    other = [dataclasses.replace(data[0], source=("other.xyz", 0))]
    with pytest.raises(InputError, match="a split file is about the frames of one file"):
        save_splits(tmp_path / "splits.json", {"train": data, "val": other})


@pytest.mark.parametrize("pbc", [False, True])
def test_finds_copies_that_were_shifted(pbc):
    train, other = frames(20, pbc=pbc), frames(10, seed=1, pbc=pbc)
    assert find_overlap(train, other) == []
    moved = train[13].positions + [1.0, -2.0, 30.0]
    moved += np.random.default_rng(0).uniform(-1e-5, 1e-5, moved.shape)
    other[4] = dataclasses.replace(other[4], positions=moved)
    assert find_overlap(train, other) == [(13, 4)]


def test_finds_copies_that_were_wrapped():
    train, other = frames(5, pbc=True), frames(5, seed=1, pbc=True)
    wrapped = train[2].to_atoms()
    wrapped.positions += 2.3
    wrapped.wrap()
    other[0] = frame_from_atoms(wrapped)
    assert find_overlap(train, other) == [(2, 0)]


def test_a_small_displacement_is_another_frame():
    train = frames(3)
    moved = train[0].positions.copy()
    moved[5, 2] += 1e-3
    assert find_overlap(train, [dataclasses.replace(train[0], positions=moved)]) == []
    renamed = dataclasses.replace(train[0], numbers=train[0].numbers[::-1].copy())
    assert find_overlap(train, [renamed]) == []


def test_check_overlap_refuses_unless_allowed():
    train, other = frames(10), frames(6, seed=1)
    other[3] = dataclasses.replace(train[7], source=("val.xyz", 3))
    text = (
        "val.xyz: frame 3: 1 of 6 validation frames are also training frames; the first is "
        "frame 7 of data.xyz"
    )
    with pytest.raises(InputError, match=re.escape(text)):
        check_overlap(train, other)
    assert check_overlap(train, other, allow=True) == [(7, 3)]
    assert check_overlap(train, other[:3]) == []


def test_single_atoms_overlap():
    atom = frame_from_atoms(Atoms("H"))
    assert find_overlap([atom], [atom]) == [(0, 0)]
