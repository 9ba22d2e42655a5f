# SPDX-License-Identifier: GPL-2.0-or-later
"""Each refusal is provoked with one wrong value, and its text checked."""

import dataclasses
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from egraff.data import frame_from_atoms, validate_frames
from egraff.errors import InputError


def frame(number=0, **changes):
    """A good ethanol frame, number ``number`` of data.xyz, with ``changes``."""
    atoms = molecule("CH3CH2OH")
    rng = np.random.default_rng(number)
    atoms.positions += rng.normal(scale=0.02, size=(9, 3))
    forces = rng.normal(size=(9, 3))
    good = frame_from_atoms(atoms, source=("data.xyz", number))
    labels = {"energy": -309.8, "forces": forces - forces.mean(axis=0)}
    return dataclasses.replace(good, **labels | changes)


def crystal(**changes):
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    labels = {"energy": -100.0, "forces": np.zeros((8, 3)) + 1e-9, "stress": 0.01 * np.eye(3)}
    good = frame_from_atoms(atoms, source=("data.xyz", 0))
    return dataclasses.replace(good, **labels | changes)


def poked(array, value, where=(4, 1)):
    array = array.copy()
    array[where] = value
    return array


def refusal(text, *frames, **options):
    with pytest.raises(InputError, match=re.escape(text)) as caught:
        validate_frames([frame(), *frames], **options)
    assert caught.value.where == "data.xyz"
    assert caught.value.fix


def test_good_frames_pass_without_remarks():
    assert validate_frames([frame(i) for i in range(5)], elements=["H", "C", "O"]) == []
    assert validate_frames([crystal(), frame(1)]) == []


def test_refuses_no_frames():
    with pytest.raises(InputError, match="expected at least one frame, got none"):
        validate_frames([])


def test_refuses_a_frame_without_atoms():
    empty = dataclasses.replace(frame_from_atoms(Atoms()), source=("data.xyz", 3))
    refusal("data.xyz: frame 3, atoms: the frame has no atoms", empty)


def test_refuses_the_dummy_element():
    bad = frame(2, numbers=np.array([0] * 9))
    refusal("frame 2, elements: atomic number 0 is not an element", bad)


def test_refuses_an_element_the_model_does_not_know():
    text = "data.xyz: frame 0, elements: C, O not among the elements of the model (H Na Cl)"
    refusal(text, elements=["H", "Na", "Cl"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["positions", "forces"])
def test_refuses_numbers_that_are_not_finite_and_names_the_atom(name, value):
    good = frame(17)
    bad = dataclasses.replace(good, **{name: poked(getattr(good, name), value)})
    refusal(f"frame 17, {name}: 1 value(s) are NaN or infinite (first at atom 4)", bad)


def test_refuses_an_energy_stress_or_cell_that_is_not_finite():
    refusal("frame 1, energy: 1 value(s) are NaN or infinite", frame(1, energy=np.nan))
    bad = crystal(stress=np.full((3, 3), np.nan))
    refusal("frame 0, stress: 9 value(s) are NaN or infinite", bad)
    bad = crystal(cell=np.full((3, 3), np.inf))
    refusal("frame 0, cell: 9 value(s) are NaN or infinite", bad)


@pytest.mark.parametrize("cell", [np.zeros((3, 3)), np.ones((3, 3)), np.diag([9.0, 9.0, 0.0])])
def test_refuses_a_periodic_cell_without_volume(cell):
    text = "frame 0, cell: the frame is periodic, but its periodic lattice vectors span no volume"
    refusal(text, crystal(cell=cell))


def test_accepts_a_slab_without_third_vector_and_a_left_handed_cell():
    slab = crystal(cell=np.diag([5.64, 5.64, 0.0]), pbc=np.array([True, True, False]))
    mirrored = crystal(cell=5.64 * np.eye(3)[[1, 0, 2]])
    (remark,) = validate_frames([slab, mirrored])
    assert "the stress of 1 frames (frame 0) is not used: it needs a volume" in remark


def test_refuses_missing_labels_and_lists_what_there_is():
    bad = frame(5, energy=None, label_keys=("TotEnergy", "forces"))
    refusal("frame 5, energy: missing; the frame has: TotEnergy, forces", bad)
    bad = frame(5, forces=None)
    refusal("frame 5, forces: missing; the frame has: nothing", bad)
    refusal("frame 0, stress: missing; the frame has", require=("energy", "stress"))
    assert validate_frames([frame(energy=None, forces=None)], require=()) == []


@pytest.mark.parametrize("unit", ["Hartree", "Ha/Bohr", "kcal/mol", "a.u.", "nm"])
def test_refuses_declared_foreign_units(unit):
    bad = frame(1, info={"energy_units": unit})
    refusal(
        f"frame 1, energy_units: the file says energy_units={unit}; expected eV and Angstrom", bad
    )


def test_accepts_declared_units_that_are_right():
    assert validate_frames([frame(info={"units": "eV, Angstrom", "harmless": "Hartree"})]) == []


def test_refuses_energies_in_kcal_per_mol():
    # ethanol with all electrons: -154.9 Hartree = -4215 eV = -97200 kcal/mol
    assert validate_frames([frame(energy=-4215.0)]) == []
    bad = frame(1, energy=-97200.0)
    text = "frame 1, energy: -97200 eV is more than all electrons of these 9 atoms can bind"
    with pytest.raises(InputError, match=re.escape(text)):
        validate_frames([bad])


def test_all_electron_energies_of_heavy_atoms_pass():
    # a gold atom: -19040 Hartree, relativistic
    gold = dataclasses.replace(frame_from_atoms(Atoms("Au")), energy=-19040 * 27.2114)
    assert validate_frames([gold], require=("energy",)) == []


def test_refuses_absurd_forces():
    bad = frame(1, forces=np.full((9, 3), 2000.0))
    refusal("frame 1, forces: root mean square 2e+03 eV/A, expected less than 1000", bad)


def test_refuses_a_stress_in_other_units():
    refusal("frame 0, stress: 25 eV/A^3, expected less than 10", crystal(stress=25 * np.eye(3)))


def test_refuses_a_stress_that_is_not_symmetric():
    bad = crystal(stress=poked(0.01 * np.eye(3), 0.01, (0, 1)))
    refusal("frame 0, stress: the tensor is not symmetric", bad)


def test_refuses_positions_in_nanometres():
    good = frame(1)
    bad = dataclasses.replace(good, positions=good.positions / 10)
    refusal("A apart, expected at least 0.3 A; this looks like nm", bad)


def test_overlapping_atoms_are_named():
    good = frame(1)
    bad = dataclasses.replace(good, positions=poked(good.positions, good.positions[2], 7))
    refusal("frame 1, positions: atoms 2 and 7 are 0.000 A apart", bad)


def test_refuses_an_outlier_in_energy():
    frames = [frame(i) for i in range(1, 6)]
    bad = frame(6, energy=-309.8 + 9 * 25)
    refusal("frame 6, energy: 25 eV per atom away from the median of the 7 frames", *frames, bad)


def test_refuses_a_trajectory_with_mixed_units():
    frames, forces = [], np.zeros((9, 3))
    for number in range(20):
        moved = frame(0)
        moved.positions[:, 0] += 0.01 * number * np.arange(9)
        shift = 0.01 * number * np.arange(9)
        forces = np.zeros((9, 3))
        forces[:, 0] = -2.0 * shift
        energy = float(np.sum(shift**2)) / 27.211386  # eV turned into Hartree
        frames.append(
            dataclasses.replace(moved, energy=energy, forces=forces, source=("data.xyz", number))
        )
    text = (
        "data.xyz: energy and forces: energies change 0.03675 times as much as the forces say, "
        "over 19 consecutive frames; this looks like energies in Hartree, forces in eV/A"
    )
    with pytest.raises(InputError, match=re.escape(text)):
        validate_frames(frames)


def test_remarks_on_positions_in_bohr():
    good = frame()
    (remark,) = validate_frames([dataclasses.replace(good, positions=good.positions * 1.8897)])
    assert "are the positions in Bohr?" in remark
    argon = dataclasses.replace(
        frame_from_atoms(Atoms("Ar2", [[0, 0, 0], [0, 0, 3.8]])), energy=-1.0, forces=None
    )
    assert validate_frames([argon], require=("energy",)) == []


def test_remarks_on_a_net_force():
    (remark,) = validate_frames([frame(forces=np.full((9, 3), 0.5))])
    assert "forces do not sum to zero (up to 0.866 eV/A per atom)" in remark


def test_remarks_on_forces_of_exactly_zero():
    (remark,) = validate_frames([frame(), frame(1, forces=np.zeros((9, 3)))])
    assert "1 frame(s) have forces of exactly zero (frame 1); are they labelled at all?" in remark
