# SPDX-License-Identifier: GPL-2.0-or-later
"""What is odd about a set is said once, with the numbers of the frames."""

import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from egraff.data import LabelKeys, find_repeats, frame_from_atoms, validate_frames
from egraff.errors import InputError


def frame(number, **changes):
    """Frame ``number`` of ethanol, unlike all others."""
    atoms = molecule("CH3CH2OH")
    atoms.positions += np.random.default_rng(number).normal(scale=0.02, size=(9, 3))
    good = frame_from_atoms(atoms, source=("data.xyz", number))
    return dataclasses.replace(good, **{"energy": -309.8, **changes})


def copy_of(first, number, **changes):
    return dataclasses.replace(first, source=("data.xyz", number), **changes)


def remarks(frames, **options):
    return validate_frames(frames, require=("energy",), **options)


def test_a_stray_element_in_one_frame():
    frames = [frame(number) for number in range(12)]
    numbers = frames[7].numbers.copy()
    numbers[2] = 7
    frames[7] = dataclasses.replace(frames[7], numbers=numbers)
    (remark,) = remarks(frames)
    assert remark == (
        "data.xyz: N occurs in one of the 12 frames only (frame 7); is it a slip of the pen?"
    )
    assert remarks(frames[5:9]) == []


def test_repeated_frames_are_counted_and_named():
    frames = [frame(0), frame(1), frame(2)]
    shifted = frames[1].positions + 3.0
    frames += [copy_of(frames[1], 3), frame(4), copy_of(frames[1], 5, positions=shifted)]
    assert find_repeats(frames) == [(1, 3), (1, 5)]
    (remark,) = remarks(frames)
    assert remark == (
        "data.xyz: 2 of 6 frames repeat an earlier one (frames 3, 5; frame 3 is frame 1 again)"
    )


def test_repeats_among_frames_that_are_hardly_different():
    """A slab whose lower atoms are fixed, and steps of 0.001 A: none is a copy but the last two."""
    first = frame(0)
    frames = [first]
    for number in range(1, 40):
        positions = frames[-1].positions.copy()
        positions[8] += 1e-3
        frames.append(copy_of(first, number, positions=positions))
    assert find_repeats(frames) == []
    nearly = frames[17].positions + np.random.default_rng(1).uniform(-2e-5, 2e-5, size=(9, 3))
    frames += [copy_of(first, 40, positions=nearly), copy_of(frames[39], 41)]
    assert find_repeats(frames) == [(17, 40), (39, 41)]


def test_repeated_frames_with_other_energies():
    frames = [frame(0), frame(1)]
    frames.append(copy_of(frames[0], 2, energy=-309.7))
    _, remark = remarks(frames)
    assert "frames 0 and 2 are the same structure with other energies (-309.8 and -309.7 eV)" in (
        remark
    )


def test_an_atom_far_from_all_others():
    far = frame(3)
    positions = far.positions.copy()
    positions[4, 0] = 5e4
    (remark,) = remarks([frame(0), dataclasses.replace(far, positions=positions)])
    assert remark.startswith("data.xyz: atoms far from all others in frame 3 (frame 3: atom 4, 5")


def salt(number, **info):
    atoms = Atoms("NaCl", [[0, 0, 0], [2.3 + 0.01 * number, 0, 0]], cell=[4, 5, 6], pbc=True)
    atoms.info.update(info, energy=-3.0)
    return atoms


def labelled(number, keys=None, **info):
    return frame_from_atoms(salt(number, **info), keys=keys, source=("data.xyz", number))


def test_a_virial_is_announced():
    (remark,) = remarks([labelled(k, virial=-1.2 * np.eye(3)) for k in range(3)])
    assert "the stress of 3 frames is -virial/volume (eV; up to 1.6 GPa)" in remark


def test_a_stress_under_another_name_is_offered():
    (remark,) = remarks([labelled(k, REF_virial=np.eye(3)) for k in range(3)])
    assert remark == "data.xyz: no stress is read; it may be --virial-key REF_virial"


def test_frames_without_stress_among_others():
    found = remarks([labelled(0, stress=np.zeros((3, 3))), labelled(1), labelled(2)])
    assert found == ["data.xyz: 2 of 3 frames have no stress (frames 1, 2)"]


@pytest.mark.parametrize("unit", ["eV/A^3", None])
def test_a_stress_above_100_gpa_asks_for_its_unit(unit):
    high = labelled(4, LabelKeys(stress_unit=unit), stress=0.7 * np.eye(3))
    if unit:
        assert remarks([high]) == []
        return
    with pytest.raises(
        InputError,
        match=r"frame 4, stress: 0.7, read as eV/A\^3, is 112 GPa; .*\n  fix: state it \(--stress",
    ):
        remarks([high])


def test_a_unit_that_the_file_declares_must_be_stated():
    info = {"stress": np.eye(3), "stress_unit": "GPa"}
    with pytest.raises(InputError, match=r"file says stress_unit=GPa; .*\n  fix: give it as --st"):
        remarks([labelled(0, **info)])
    assert remarks([labelled(0, LabelKeys(stress_unit="GPa"), **info)]) == []
