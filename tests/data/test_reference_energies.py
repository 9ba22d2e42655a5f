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
    fit_errors,
    fit_reference_energies,
    frame_from_atoms,
    is_determined,
    reference_energies_from_atoms,
    undetermined_elements,
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


def test_fit_of_one_composition_gives_every_element_the_mean_energy_per_atom():
    frames = [frame("C2H6O", -310.0)] * 3
    fitted = fit_reference_energies(frames, ["C", "H", "O"])
    assert list(fitted.values()) == pytest.approx([-310.0 / 9] * 3)
    assert undetermined_elements(frames, ["C", "H", "O"]) == ["C", "H", "O"]


def test_fit_of_collinear_compositions_stays_near_the_mean():
    # H and O always come as two to one: only C is told apart
    frames = [frame("H2O"), frame("H4O2"), frame("CH2O"), frame("C2H2O")]
    fitted = fit_reference_energies(frames, ["H", "C", "O"])
    assert fitted["C"] == pytest.approx(E0["C"])
    assert 2 * fitted["H"] + fitted["O"] == pytest.approx(2 * E0["H"] + E0["O"])
    assert undetermined_elements(frames, ["H", "C", "O"]) == ["H", "O"]
    # of all solutions the one nearest to equal energies
    mean = np.mean([f.energy / len(f) for f in frames])
    assert (fitted["H"] - mean) / 2 == pytest.approx(fitted["O"] - mean)


def test_totals_that_a_fit_determines():
    """C2H4 and CH4 determine C and H; H2O and CO2 do not tell how O is shared with a third one."""
    assert is_determined([frame("C2H4"), frame("CH4")], [frame("C3H8"), frame("H2")])
    water = [frame("H2O"), frame("CO2")]
    assert is_determined(water, [frame("CO2H2O")]), "a combination of the two"
    assert not is_determined(water, [frame("CO2H2O"), frame("CH4")])
    assert not is_determined([frame("CH4")], [frame("C2H4")])
    assert is_determined([frame("CH4")], [frame("C2H8")]), "the same composition"


def test_errors_of_a_fit_are_those_of_repeated_fits():
    """100 sets whose energies scatter by 0.2 eV about additive ones."""
    rng = np.random.default_rng(4)
    formulas = ["C2H6O", "C3H8O", "C2H4O", "CH4O", "C3H6O2"] * 4
    fits, errors = [], []
    for _ in range(100):
        frames = []
        for formula in formulas:
            exact = frame(formula)
            scatter = 0.2 * len(exact) * rng.normal()
            frames.append(dataclasses.replace(exact, energy=exact.energy + scatter))
        fits.append(list((fitted := fit_reference_energies(frames, list(E0))).values()))
        errors.append(list(fit_errors(frames, fitted).values()))
    # 100 samples know a standard deviation to 7 %
    np.testing.assert_allclose(np.std(fits, axis=0), np.mean(errors, axis=0), rtol=0.2)


def test_errors_where_there_is_nothing_to_judge_by():
    exact = [frame("H2O"), frame("H2O2")]
    assert fit_errors(exact, {"H": E0["H"], "O": E0["O"]}) == {}
    assert fit_errors([frame("H2O")] * 4, {"H": -1.0, "O": -1.0}) == {}
    assert fit_errors(exact, E0, known=E0) == {}


def test_fit_beside_known_energies():
    frames = [frame("C2H6O"), frame("C2H6O")]
    fitted = fit_reference_energies(frames, ["H", "C", "O"], known={"H": E0["H"], "C": E0["C"]})
    assert fitted == pytest.approx(E0)
    assert undetermined_elements(frames, ["H", "C", "O"], known=["H", "C"]) == []
    assert undetermined_elements(frames, ["H", "C", "O"], known=["H"]) == ["C", "O"]
    assert fit_reference_energies([], ["H"], known=E0) == {"H": E0["H"]}


def test_each_atom_counts_the_same_not_each_frame():
    # two oxygen-free frames that disagree: weights 1/n_atoms^2 on the squared total
    a, b = frame("H2", 2 * -1.0), frame("H4", 4 * -3.0)
    assert fit_reference_energies([a, b], ["H"])["H"] == pytest.approx(-2.0)


def test_fit_refusals():
    with pytest.raises(InputError, match="expected frames to fit reference energies to, got none"):
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
    twice = [Atoms("H", info={"energy": energy}) for energy in (-1.0, -1.5)]
    ase.io.write(path, twice, format="extxyz")
    with pytest.raises(
        InputError,
        match=r"frame 1, energy: expected one energy of an isolated atom of H, got -1 eV in "
        r"frame 0 of .*atoms.xyz and -1.5 eV here",
    ):
        reference_energies_from_atoms(path)
    water = frame("H2O").to_atoms()
    ase.io.write(path, water, format="extxyz")
    with pytest.raises(InputError, match=r"frame 0: expected isolated atoms only, got 3 atoms"):
        reference_energies_from_atoms(path)
    ase.io.write(path, Atoms("H"), format="extxyz")
    with pytest.raises(InputError, match=r"frame 0, energy: missing; the frame has: nothing"):
        reference_energies_from_atoms(path)
