# SPDX-License-Identifier: GPL-2.0-or-later
"""The ASE calculator over the C++ core gives what the eager model gives."""

import copy
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.stress import full_3x3_to_voigt_6_stress

from egraff import ops
from egraff.calculator import EgraffCalculator
from egraff.errors import EgraffError, InputError, ModelFileError
from egraff.forces import predict
from egraff.graph import graph_of_atoms
from tests.conftest import tiny_nequip
from tests.model_files import records, replaced

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


# ---- copies and processes ---------------------------------------------------------------------


def energy(calculator: EgraffCalculator) -> float:
    atoms = cluster()
    atoms.calc = calculator
    return atoms.get_potential_energy()


def test_copies_share_the_model(exported):
    calculator = EgraffCalculator(exported("float64"))
    atoms = cluster()
    atoms.calc = calculator
    atoms.get_forces()
    twin = copy.deepcopy(atoms)
    assert twin.calc is not calculator
    assert twin.calc.model is calculator.model
    twin.positions += [[0.1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert twin.get_potential_energy() != atoms.get_potential_energy()
    assert calculator.results["energy"] == energy(calculator)


def test_a_pickle_is_the_same_calculator(exported, tmp_path, monkeypatch):
    monkeypatch.chdir(exported("float64").parent)
    calculator = EgraffCalculator(exported("float64").name)
    monkeypatch.chdir(tmp_path)  # the path is kept in full
    # as multiprocessing sends calculators to its workers; these bytes are our own
    twin = pickle.loads(pickle.dumps(calculator))
    assert twin.metadata == calculator.metadata
    assert energy(twin) == energy(calculator)
    assert energy(copy.copy(calculator)) == energy(calculator)


def test_a_pickle_of_a_file_that_was_replaced(exported, tmp_path):
    path = tmp_path / "m.egraff.pt"
    shutil.copy(exported("float64"), path)
    kept = pickle.dumps(EgraffCalculator(path))  # our own bytes, read again below
    shutil.copy(exported("float32"), path)
    with pytest.raises(ModelFileError, match=r"expected the model that the calculator was made wi"):
        pickle.loads(kept)
    path.unlink()
    with pytest.raises(ModelFileError, match="found no such file"):
        pickle.loads(kept)


FORK = """
import multiprocessing, sys
import torch
from ase import Atoms
from egraff.calculator import EgraffCalculator

cell = Atoms("LiF", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[2.5] * 3, pbc=True)
atoms = cell.repeat((8, 8, 8))  # enough that threads share it

def energy(calculator):
    copy = atoms.copy()
    copy.calc = calculator
    return copy.get_potential_energy()

calculator = EgraffCalculator(sys.argv[1])
assert torch.get_num_threads() == 2
here = energy(calculator)
context = multiprocessing.get_context("fork")
with context.Pool(2) as pool:
    there = pool.map(energy, [calculator] * 3)
assert all(abs(x - here) < 1e-8 for x in there), (here, there)
process = context.Process(target=energy, args=(calculator,))
process.start()
process.join()
assert process.exitcode == 0
"""


def test_forked_processes_evaluate(exported):
    """Threads of OpenMP do not survive a fork; the children waited for them for ever."""
    subprocess.run(
        [sys.executable, "-c", FORK, exported("float64")],
        env={"OMP_NUM_THREADS": "2", "PATH": "/usr/bin:/bin"},
        timeout=120,
        check=True,
    )


def test_libraries_for_another_torch_are_refused(exported, monkeypatch):
    def build_facts(_directory=None):
        return {"torch": "1.0.0"}

    monkeypatch.setattr(ops, "build_facts", build_facts)
    ops.load.cache_clear()
    with pytest.raises(EgraffError, match=r"expected torch 1\.0\.0, for which .*, got torch 2"):
        EgraffCalculator(exported("float64"))


# ---- structures that cannot be evaluated ------------------------------------------------------


def changed(**changes) -> Atoms:
    atoms = cluster()
    for name, value in changes.items():
        if name == "move":
            atoms.positions[1] = value
        else:
            setattr(atoms, name, value)
    return atoms


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"move": [0, 0, 0]}, "positions: .* got 0 Angstrom between atoms 0 and 1"),
        ({"move": [0, 0, 1e-7]}, "positions: .* got 1e-07 Angstrom between atoms 0 and 1"),
        ({"move": [9, 0, 0], "cell": [9] * 3, "pbc": True}, "0 Angstrom between atoms 0 and 1"),
        ({"move": [NAN, 0, 0]}, "positions: expected finite numbers, got .* for atom 1"),
        ({"move": [INF, 0, 0]}, "positions: expected finite numbers, got .* for atom 1"),
        ({"move": [1e300, 0, 0]}, r"positions: expected coordinates within 1e\+12 .* for atom 1"),
        ({"pbc": True}, "cell: expected three independent lattice vectors"),
        ({"pbc": [True, False, False]}, "cell: expected three independent lattice vectors"),
        ({"cell": [0, 5, 5], "pbc": True}, "cell: expected three independent lattice vectors"),
        ({"cell": [NAN] * 3, "pbc": True}, "cell: expected three independent lattice vectors"),
        ({"cell": [1e150] * 3, "pbc": True}, "cell: expected three independent lattice vectors"),
        ({"symbols": ["Li", "X", "F"]}, "elements: expected only Li, F, got X"),
    ],
)
def test_structures_that_are_refused(exported, changes, message):
    atoms = changed(**changes)
    atoms.calc = EgraffCalculator(exported("float64"))
    with pytest.raises(InputError, match=message):
        atoms.get_forces()


def test_an_empty_cell_around_few_atoms_changes_nothing(exported):
    calculator = EgraffCalculator(exported("float64"))
    atoms = changed(cell=[1e8] * 3, pbc=True)
    atoms.calc = calculator
    assert atoms.get_potential_energy() == pytest.approx(energy(calculator), abs=1e-10)
    for nothing in (Atoms(), Atoms(cell=[5] * 3, pbc=True)):
        nothing.calc = calculator
        assert nothing.get_potential_energy() == 0.0
        assert nothing.get_forces().shape == (0, 3)


def test_results_that_are_not_finite_are_refused(exported, tmp_path):
    """Weights that overflow far from what the model saw: made so here, in a sealed file."""
    contents = records(exported("float64"))
    (scale,) = (name for name, data in contents.items() if data == np.array([0.7, 0.9]).tobytes())
    contents[scale] = np.array([1e308, 1e308]).tobytes()
    path = replaced(tmp_path / "m.egraff.pt", contents)
    atoms = crystal()
    atoms.calc = EgraffCalculator(path, verify=False)
    with pytest.raises(InputError, match=r"(energy|forces): expected finite numbers, got .* atom"):
        atoms.get_potential_energy()
    with pytest.raises(ModelFileError, match=f"^{path}: "):
        EgraffCalculator(path)
