# SPDX-License-Identifier: GPL-2.0-or-later
import gzip
import hashlib
from dataclasses import replace

import ase.io
import numpy as np
import pytest

from egraff.data import frame_from_atoms, read_frames
from egraff.data.digest import frames_digest
from tests.data.catalogues import water, write_water


@pytest.fixture
def frames():
    return [frame_from_atoms(water(seed)) for seed in range(3)]


def test_a_digest_is_what_its_docstring_says():
    frame = replace(
        frame_from_atoms(water(0)),
        positions=np.array([[0.0, 0.0, 1e-8], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
        energy=-2.5,
        forces=None,
    )
    integers = {
        b"": [3, 0, 0, 0, 8, 1, 1],
        b"positions": [0, 0, 1, 10**8, 0, 0, 0, -(10**8), 0],
        b"cell": [],
        b"energy": [-2500000],
        b"forces": [],
        b"stress": [],
    }
    text = b"egraff frames 1\n" + b"".join(
        name + np.array(values, dtype="<i8").tobytes() for name, values in integers.items()
    )
    assert frames_digest([frame]) == hashlib.sha256(text).hexdigest()


def test_files_of_other_bytes_have_one_digest(tmp_path, frames):
    digest = write_water(tmp_path / "a.xyz", range(3))
    text = (tmp_path / "a.xyz").read_bytes()
    (tmp_path / "b.xyz.gz").write_bytes(gzip.compress(text))
    assert frames_digest(read_frames(tmp_path / "b.xyz.gz")) == digest
    ase.io.write(tmp_path / "c.traj", read_atoms := ase.io.read(tmp_path / "a.xyz", ":"))
    assert len(read_atoms) == 3
    assert frames_digest(read_frames(tmp_path / "c.traj")) == digest


@pytest.mark.parametrize(
    "change",
    [
        lambda f: replace(f, positions=f.positions + 1e-6),
        lambda f: replace(f, energy=f.energy + 1e-4),
        lambda f: replace(f, forces=-f.forces),
        lambda f: replace(f, numbers=f.numbers[::-1]),
        lambda f: replace(f, pbc=np.array([True] * 3), cell=9.0 * np.eye(3)),
        lambda f: replace(f, stress=np.eye(3)),
        lambda f: replace(f, energy=None),
    ],
)
def test_any_change_shows(frames, change):
    assert frames_digest([*frames[:2], change(frames[2])]) != frames_digest(frames)


def test_order_counts_and_cells_that_mean_nothing_do_not(frames):
    assert frames_digest(frames[::-1]) != frames_digest(frames)
    boxed = [replace(frame, cell=50.0 * np.eye(3), info={"a": 1}) for frame in frames]
    assert frames_digest(boxed) == frames_digest(frames)
