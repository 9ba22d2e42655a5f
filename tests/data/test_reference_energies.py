# SPDX-License-Identifier: GPL-2.0-or-later
import dataclasses
import re

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from egraff.data import (
    composition_matrix,
    fit_reference_energies,
    frame_from_atoms,
    reference_energies_from_atoms,
)
from egraff.errors import InputError

E0 = {"H": -13.6, "C": -1029.0, "O": -2041.0}


def frame(formula, energy=None):
    atoms = Atoms(formula)
    atoms.positions[:, 0] = np.arange(len(atoms))
    if energy is None:
        energy = sum(E0[symbol] for symbol in atoms.get_chemical_symbols())
    return dataclasses.replace(frame_from_atoms(atoms), energy=energy, source=("data.xyz", 4))


def atoms_file(path, **energies):
    images = []
    for symbol, energy in energies.items():
        atom = Atoms(symbol)
        atom.calc = SinglePointCalculator(atom, energy=energy)
        images.append(atom)
    ase.io.write(path, images, format="extxyz")
    return path


def test_counts():
    counts = composition_matrix([frame("H2O"), frame("CH4")], ["O", "H", "C"])
    np.testing.assert_array_equal(counts, [[1, 2, 0], [0, 4, 1]])


def test_fit_finds_additive_energies():
    fitted = fit_reference_energies([frame(f) for f in ("H2", "H2O", "CH4", "C2H6O")], list(E0))
    assert list(fitted) == list(E0)
    for element, energy in E0.items():
        assert fitted[element] == pytest.approx(energy, abs=1e-8)


def test_fit_of_one_composition_has_the_right_sum_and_the_least_norm():
    fitted = fit_reference_energies([frame("C2H6O", -310.0)] * 3, ["C", "H", "O"])
    values, counts = np.array(list(fitted.values())), np.array([2, 6, 1])
    assert values @ counts == pytest.approx(-310.0)
    # the least-norm solution is along the counts
    np.testing.assert_allclose(values, -310.0 * counts / (counts @ counts))


def test_each_atom_counts_the_same_not_each_frame():
    # two oxygen-free frames that disagree: weights 1/n_atoms^2 on the squared total
    a, b = frame("H2", 2 * -1.0), frame("H4", 4 * -3.0)
    assert fit_reference_energies([a, b], ["H"])["H"] == pytest.approx(-2.0)


def test_fit_refusals():
    with pytest.raises(InputError, match="there are no frames to fit reference energies to"):
        fit_reference_energies([], ["H"])
    with pytest.raises(
        InputError, match=re.escape("data.xyz: frame 4, elements: O is not among the elements H C")
    ):
        fit_reference_energies([frame("H2O")], ["H", "C"])
    with pytest.raises(InputError, match="C does not occur in the 1 frames, so it has no energy"):
        fit_reference_energies([frame("H2O")], ["H", "O", "C"])
    bad = dataclasses.replace(frame("H2O"), energy=None)
    with pytest.raises(InputError, match=r"data.xyz: frame 4, energy: the energy is missing"):
        fit_reference_energies([bad], ["H", "O"])


def test_isolated_atoms(tmp_path):
    path = atoms_file(tmp_path / "atoms.xyz", **E0)
    assert reference_energies_from_atoms(path) == E0
    chosen = reference_energies_from_atoms(path, elements=["O", "H"])
    assert list(chosen.items()) == [("O", -2041.0), ("H", -13.6)]


def test_isolated_atoms_refusals(tmp_path):
    path = atoms_file(tmp_path / "atoms.xyz", **E0)
    with pytest.raises(InputError, match=r"no isolated atom of N; the file has H, C, O"):
        reference_energies_from_atoms(path, elements=["H", "N"])
    ase.io.write(path, [Atoms("H", info={"energy": -1.0})] * 2, format="extxyz")
    with pytest.raises(InputError, match="frame 1: expected one isolated atom per element, got H"):
        reference_energies_from_atoms(path)
    water = frame("H2O").to_atoms()
    ase.io.write(path, water, format="extxyz")
    with pytest.raises(InputError, match=r"frame 0: expected one isolated atom .*, got 3 atoms"):
        reference_energies_from_atoms(path)
    ase.io.write(path, Atoms("H"), format="extxyz")
    with pytest.raises(InputError, match=r"frame 0, energy: missing; the frame has: nothing"):
        reference_energies_from_atoms(path)
