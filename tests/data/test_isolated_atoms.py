# SPDX-License-Identifier: GPL-2.0-or-later
"""Which frames are isolated atoms, and what is said of those that contradict each other."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from egraff.data import (
    describe_isolated,
    frame_from_atoms,
    isolated_energies,
    separate_isolated_atoms,
)
from egraff.errors import InputError


def frame(atoms, number=0, **info):
    atoms = atoms.copy()
    atoms.info.update(info)
    return frame_from_atoms(atoms, source=("data.xyz", number))


def atom(symbol, number=0, **info):
    return frame(Atoms(symbol), number, **info)


def boxed(symbol, length, **info):
    return frame(Atoms(symbol, cell=[length] * 3, pbc=True), **info)


@pytest.mark.parametrize(
    "mark", ["IsolatedAtom", "isolated_atom", "ISOLATED-ATOM", "isolated atom", "Isolatedatoms"]
)
def test_marks_in_any_spelling(mark):
    others, isolated = separate_isolated_atoms([boxed("H", 9.0, config_type=mark)], cutoff=99.0)
    assert (len(others), len(isolated)) == (0, 1)


def test_single_atoms_without_a_neighbour_in_the_cutoff():
    frames = [atom("H"), boxed("O", 7.0), frame(bulk("Cu")), frame(molecule("H2O"))]
    others, isolated = separate_isolated_atoms(frames, cutoff=6.0)
    assert isolated == frames[:2]
    assert others == frames[2:]
    # where no model says its cutoff, 7 A may be within it
    assert separate_isolated_atoms(frames)[1] == frames[:1]
    # a slab of one atom is none, an atom in a box that is periodic in one direction only is one
    wire = frame(Atoms("Au", cell=[20, 20, 2.6], pbc=(False, False, True)))
    assert separate_isolated_atoms([wire])[0] == [wire]


def test_other_config_types_are_no_marks():
    frames = [frame(molecule("H2O"), config_type="liquid"), frame(bulk("Cu"), config_type="bulk")]
    assert separate_isolated_atoms(frames)[0] == frames


def test_marks_that_contradict_the_frame():
    water = frame(molecule("H2O"), 4, config_type="IsolatedAtom")
    text = "data.xyz: frame 4, config_type: expected one atom in a frame marked as isolated atom, g"
    with pytest.raises(InputError, match=re.escape(text)):
        separate_isolated_atoms([water])
    crowded = frame(bulk("Cu"), 2, config_type="IsolatedAtom")
    with pytest.raises(InputError, match=r"frame 2, .* but its periodic image is 2.55 A away"):
        separate_isolated_atoms([crowded])


def test_energies():
    atoms = [atom("H", 0, energy=-13.6), atom("O", 1, energy=-430.0), atom("H", 2, energy=-13.6001)]
    assert isolated_energies(atoms) == {"H": -13.6, "O": -430.0}
    assert describe_isolated(atoms) == "H (frames 0, 2), O (frame 1)"


def test_energies_that_contradict_each_other_or_are_missing():
    text = (
        "data.xyz: frame 5, energy: expected one energy of an isolated atom of H, got -13.6 eV in "
        "frame 0 of data.xyz and -12 eV here"
    )
    with pytest.raises(InputError, match=re.escape(text)):
        isolated_energies([atom("H", 0, energy=-13.6), atom("H", 5, energy=-12.0)])
    with pytest.raises(
        InputError, match=r"frame 3, energy: missing .*\n.* --energy-key REF_energy;"
    ):
        isolated_energies([atom("H", 3, REF_energy=-13.6)])


def test_positions_do_not_matter():
    moved = Atoms("H", positions=[[7.0, -3.0, 1e3]])
    assert len(separate_isolated_atoms([frame(moved)])[1]) == 1
    assert np.isfinite(isolated_energies([frame(moved, energy=-1.0)])["H"])
