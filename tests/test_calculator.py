# SPDX-License-Identifier: GPL-2.0-or-later
"""The ASE calculator over the C++ core gives what the eager model gives."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.stress import full_3x3_to_voigt_6_stress

from egraff.calculator import EgraffCalculator
from egraff.errors import InputError, ModelFileError
from egraff.forces import predict
from egraff.graph import graph_of_atoms
from tests.conftest import tiny_nequip

RELATIVE = {"float64": 1e-12, "float32": 1e-5}


def crystal() -> Atoms:
    atoms = bulk("LiF", "rocksalt", a=4.0) * (2, 1, 1)
    atoms.set_cell(atoms.cell.array + [[0.2, 0, 0], [0, 0, 0.3], [0, 0, 0]], scale_atoms=True)
    atoms.rattle(0.1, seed=4)
    return atoms


def cluster() -> Atoms:
    return Atoms("LiFLi", positions=[[0, 0, 0], [1.7, 0, 0.2], [2.9, 1.4, 0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [crystal, cluster])
def test_equals_the_eager_model(exported, dtype, make):
    atoms, model = make(), tiny_nequip(dtype)
    graph = graph_of_atoms(
        atoms,
        elements=model.elements,
        r_max=model.r_max,
    )
    expected = predict(model, graph)
    calculator = EgraffCalculator(exported(dtype))
    atoms.calc = calculator
    tolerance = {"rtol": RELATIVE[dtype], "atol": RELATIVE[dtype]}
    np.testing.assert_allclose(atoms.get_potential_energy(), expected.energy.item(), **tolerance)
    np.testing.assert_allclose(atoms.get_potential_energies(), expected.atomic_energy, **tolerance)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces, **tolerance)
    np.testing.assert_allclose(calculator.virial, expected.virial[0], **tolerance)
    if atoms.pbc.all():
        stress = full_3x3_to_voigt_6_stress(expected.stress[0].numpy())
        np.testing.assert_allclose(atoms.get_stress(), stress, **tolerance)


def test_atomic_stresses_sum_to_the_stress(exported):
    atoms = crystal()
    atoms.calc = EgraffCalculator(exported("float64"))
    np.testing.assert_allclose(atoms.get_stresses().sum(axis=0), atoms.get_stress(), atol=1e-15)


def test_isolated_atom_has_its_reference_energy(exported):
    atom = Atoms("F", calculator=EgraffCalculator(exported("float64")))
    assert atom.get_potential_energy() == -652.5
    assert (atom.get_forces() == 0).all()


def test_stress_of_a_molecule_is_refused(exported):
    molecule = cluster()
    molecule.calc = EgraffCalculator(exported("float64"))
    with pytest.raises(InputError, match=r"stress: expected a structure periodic in all"):
        molecule.get_stress()


def test_unknown_element_is_refused(exported):
    atoms = Atoms("Xe", calculator=EgraffCalculator(exported("float64")))
    with pytest.raises(InputError, match=r"elements: expected only Li, F, got Xe"):
        atoms.get_potential_energy()


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"absent\.egraff\.pt"):
        EgraffCalculator(tmp_path / "absent.egraff.pt")
