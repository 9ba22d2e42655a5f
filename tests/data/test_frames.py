# SPDX-License-Identifier: GPL-2.0-or-later
import gzip
import re

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from egraff.data import LabelKeys, frame_from_atoms, read_frames, read_images
from egraff.errors import InputError

STRESS = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]]) * 1e-3


def water(**labels):
    atoms = Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], cell=[9, 9, 9], pbc=True)
    if labels:
        atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def write(path, *images):
    ase.io.write(path, list(images), format="extxyz")
    return path


def test_labels_from_the_calculator(tmp_path):
    forces = np.arange(9.0).reshape(3, 3)
    voigt = STRESS[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    atoms = water(energy=-14.25, forces=forces, stress=voigt)
    atoms.info["temperature_K"] = 300.0
    (frame,) = read_frames(write(tmp_path / "a.xyz", atoms))
    assert frame.energy == -14.25
    np.testing.assert_array_equal(frame.forces, forces)
    np.testing.assert_allclose(frame.stress, STRESS)
    np.testing.assert_array_equal(frame.cell, 9 * np.eye(3))
    assert frame.symbols == ["O", "H", "H"]
    assert frame.pbc.all()
    assert len(frame) == 3
    assert frame.info["temperature_K"] == 300.0
    assert frame.source == (str(tmp_path / "a.xyz"), 0)


@pytest.mark.parametrize("shape", [(3, 3), (9,), (6,)])
def test_labels_under_other_names_in_info_and_arrays(tmp_path, shape):
    atoms = water()
    atoms.info["REF_energy"] = -3.5
    atoms.arrays["REF_forces"] = np.full((3, 3), 0.5)
    voigt = STRESS[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    atoms.info["REF_stress"] = voigt if shape == (6,) else STRESS.reshape(shape)
    frame = read_frames(
        write(tmp_path / "a.xyz", atoms),
        keys=LabelKeys(energy_key="REF_energy", forces_key="REF_forces", stress_key="REF_stress"),
    )[0]
    assert frame.energy == -3.5
    assert (frame.forces == 0.5).all()
    np.testing.assert_allclose(frame.stress, STRESS)


def test_a_label_that_is_not_there_is_none_and_the_keys_found_are_kept(tmp_path):
    atoms = water(energy=1.0)
    atoms.info["dipole_debye"] = 2.0
    (frame,) = read_frames(write(tmp_path / "a.xyz", atoms))
    assert frame.forces is None
    assert frame.stress is None
    assert set(frame.label_keys) == {"energy", "dipole_debye"}


@pytest.mark.parametrize(
    ("index", "numbers"), [(":", [0, 1, 2, 3]), ("1::2", [1, 3]), ("-1", [3]), (2, [2])]
)
def test_index_keeps_the_number_of_the_frame_in_the_file(tmp_path, index, numbers):
    path = write(tmp_path / "a.xyz", *(water(energy=float(i)) for i in range(4)))
    frames = read_frames(path, index=index)
    assert [frame.source[1] for frame in frames] == numbers
    assert [frame.energy for frame in frames] == numbers


def test_compressed_files_hold_the_same(tmp_path):
    path = write(tmp_path / "a.xyz", *(water(energy=float(i)) for i in range(3)))
    packed = tmp_path / "a.xyz.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert [f.energy for f in read_frames(packed)] == [f.energy for f in read_frames(path)]


def test_to_atoms_and_back():
    atoms = water(energy=-1.0, forces=np.ones((3, 3)), stress=np.arange(6) * 1e-3)
    first = frame_from_atoms(atoms)
    second = frame_from_atoms(first.to_atoms())
    assert second.energy == first.energy
    np.testing.assert_array_equal(second.forces, first.forces)
    np.testing.assert_array_equal(second.stress, first.stress)
    np.testing.assert_array_equal(second.positions, first.positions)
    assert frame_from_atoms(water()).to_atoms().calc is None


def refusal(path, text, **options):
    with pytest.raises(InputError, match=re.escape(text)) as caught:
        read_frames(path, **options)
    assert str(path) in str(caught.value)
    assert caught.value.fix


def test_refuses_a_missing_file(tmp_path):
    refusal(tmp_path / "none.xyz", "expected a file with structures, found nothing")


def test_refuses_a_folder(tmp_path):
    refusal(tmp_path, "expected a file with structures, found a folder")


def test_refuses_an_empty_file(tmp_path):
    (tmp_path / "a.xyz").touch()
    refusal(tmp_path / "a.xyz", "the file is empty (0 bytes)")


def test_refuses_a_file_without_frames(tmp_path):
    path = tmp_path / "a.xyz.gz"
    path.write_bytes(gzip.compress(b"\n \n"))
    refusal(path, "the file holds no frames")


def test_refuses_what_ase_cannot_read(tmp_path):
    (tmp_path / "a.cif").write_text("not a structure file")
    refusal(tmp_path / "a.cif", "ASE cannot read this file")
    with pytest.raises(InputError, match="ASE cannot read this file"):
        read_images(tmp_path / "a.cif")


def test_refuses_a_damaged_archive(tmp_path):
    path = tmp_path / "a.xyz.gz"
    path.write_bytes(gzip.compress(b"1\n\nH 0 0 0\n")[:-9])
    refusal(path, "ASE cannot read this file (EOFError")


def test_refuses_a_frame_beyond_the_end(tmp_path):
    path = write(tmp_path / "a.xyz", water())
    refusal(path, "frame 7 was asked for, the file has 1", index=7)


def test_refuses_forces_of_the_wrong_shape(tmp_path):
    atoms = water(energy=1.0)
    atoms.arrays["f"] = np.ones(3)
    path = write(tmp_path / "a.xyz", water(), atoms)
    refusal(
        path, "frame 1, f: expected shape (3, 3), got shape (3,)", keys=LabelKeys(forces_key="f")
    )


def test_refuses_a_stress_of_the_wrong_shape(tmp_path):
    atoms = water()
    atoms.info["s"] = np.ones(4)
    path = write(tmp_path / "a.xyz", atoms)
    text = "frame 0, s: expected shape (3, 3) or shape (9,) or shape (6,), got shape (4,)"
    refusal(path, text, keys=LabelKeys(stress_key="s"))


def test_refuses_an_energy_that_is_a_word(tmp_path):
    atoms = water()
    atoms.info["e"] = "low"
    refusal(
        write(tmp_path / "a.xyz", atoms),
        "frame 0, e: expected one number, got 'low'",
        keys=LabelKeys(energy_key="e"),
    )
