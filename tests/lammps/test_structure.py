# SPDX-License-Identifier: GPL-2.0-or-later
import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.constraints import FixAtoms

from egraff.errors import InputError
from egraff.lammps.structure import (
    check_structure,
    read_structure,
    removed_dof,
    to_lammps,
    write_data,
)

ELEMENTS = ["O", "C", "H"]


@pytest.fixture
def frames(tmp_path):
    path = tmp_path / "frames.xyz"
    ase.io.write(path, [molecule("H2O"), molecule("CO2"), molecule("CH4")])
    return path


@pytest.mark.parametrize(("frame", "formula"), [(0, "H2O"), (1, "CO2"), (-1, "CH4")])
def test_frames_are_counted_from_either_end(frames, frame, formula):
    assert read_structure(frames, frame=frame).get_chemical_formula() == formula


@pytest.mark.parametrize("frame", [3, -4])
def test_frame_out_of_range(frames, frame):
    message = f"frames.xyz: frame: expected a frame from 0 to 2, got {frame}\n  fix: choose another"
    with pytest.raises(InputError, match=message):
        read_structure(frames, frame=frame)


def test_frame_of_a_format_that_holds_one(tmp_path):
    ase.io.write(tmp_path / "POSCAR", bulk("Cu"))
    with pytest.raises(InputError, match="POSCAR: frame: expected a frame from 0 to 0, got 2"):
        read_structure(tmp_path / "POSCAR", frame=2)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="expected a file with structures, found nothing"):
        read_structure(tmp_path / "none.xyz")


def test_unreadable_file(tmp_path):
    path = tmp_path / "bad.xyz"
    path.write_text("3\n\nH 0 0 0\n")
    with pytest.raises(InputError, match=r"bad\.xyz: frame 0: line 1 announces 3 atoms"):
        read_structure(path)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms(), "s: expected at least one atom, got none"),
        (Atoms("HX", [[0, 0, 0], [2, 0, 0]]), "s: species: expected .* placeholder X for atom 1"),
        (Atoms("H2", [[0, 0, 0], [0, np.nan, 2]]), r"s: positions: .* got \[0.0, nan, 2.0\] for a"),
        (
            Atoms("H2", [[0, 0, 0], [0, 0, 2]], momenta=[[0, 0, 0], [np.inf, 0, 0]]),
            r"s: velocities: expected finite numbers, got \[inf, .* for atom 1",
        ),
        (Atoms("H", pbc=True), "s: cell: expected independent lattice vectors"),
        (
            Atoms("H3", [[5, 0, 0], [0, 0, 0], [0.1, 0.2, 0]]),
            "s: positions: expected atoms at least 0.3 A apart, got atoms 1 and 2 at 0.224 A",
        ),
        (
            Atoms("H2", [[0.05, 0, 0], [2.95, 0, 0]], cell=[3, 3, 3], pbc=True),
            "got atoms 0 and 1 at 0.100 A",
        ),
    ],
)
def test_structures_that_cannot_be_simulated(atoms, message):
    with pytest.raises(InputError, match=message):
        check_structure(atoms, where="s")


def test_unknown_element_names_the_file():
    with pytest.raises(
        InputError, match=r"s\.xyz: elements: expected only elements that the model"
    ):
        to_lammps(Atoms("Cu"), ELEMENTS, where="s.xyz")


def test_isotopes_of_one_element_must_not_mix():
    water = molecule("H2O")
    water.set_masses([15.999, 1.008, 2.014])
    with pytest.raises(InputError, match="masses: expected one positive mass for all H atoms, got"):
        to_lammps(water, ELEMENTS, where="s")


def test_own_masses_are_kept():
    water = molecule("H2O")
    water.set_masses([15.999, 2.014, 2.014])

    assert to_lammps(water, ELEMENTS).masses.tolist() == [15.999, 2.014]


def test_types_follow_the_model_and_skip_what_is_absent():
    structure = to_lammps(molecule("CH3OH"), ["H", "N", "O", "C"])

    assert structure.elements == ["H", "O", "C"]
    assert structure.types.tolist() == [3, 2, 1, 1, 1, 1]


def test_data_file_holds_every_digit(tmp_path):
    atoms = bulk("Cu", "fcc", a=3.61, cubic=True)
    atoms.rattle(0.1, seed=2)
    structure = to_lammps(atoms, ["Cu"])
    write_data(tmp_path / "s.data", structure, title="copper")

    lines = (tmp_path / "s.data").read_text().splitlines()
    start = lines.index("Atoms # atomic") + 2
    read = np.array([[float(word) for word in line.split()[2:]] for line in lines[start:]])
    assert lines[0] == "copper"
    assert np.array_equal(read, atoms.positions)
    assert f"1 {atoms.get_masses()[0]!r}  # Cu".replace("np.float64(", "").replace(")", "") in lines


def test_velocities_are_converted_and_rotated():
    """Kinetic energy and its direction survive: a known velocity, a known box rotation."""
    atoms = Atoms("O", cell=[[0, 5, 0], [0, 0, 6], [7, 0, 0]], pbc=True)
    atoms.set_velocities([[0.0, 0.03 / units.fs, 0.0]])  # 0.03 A/fs along the first cell vector

    np.testing.assert_allclose(
        to_lammps(atoms, ELEMENTS).velocities, [[30.0, 0.0, 0.0]], atol=1e-12
    )


def test_kinetic_energy_of_the_data_file_is_that_of_ase():
    atoms = bulk("Cu", "fcc", a=3.61) * (3, 3, 3)
    atoms.set_velocities(np.random.default_rng(1).normal(size=(27, 3)))
    structure = to_lammps(atoms, ["Cu"])

    amu_ang2_per_ps2 = 1.036426966e-4  # in eV
    kinetic = 0.5 * structure.masses[0] * (structure.velocities**2).sum() * amu_ang2_per_ps2
    assert kinetic == pytest.approx(atoms.get_kinetic_energy(), rel=1e-7)


@pytest.mark.parametrize(
    ("atoms", "rotation_free", "count"),
    [
        (molecule("CH3CH2OH"), True, 6),
        (molecule("CH3CH2OH"), False, 3),
        (molecule("CO2"), True, 5),
        (molecule("CO"), True, 5),
        (Atoms("O"), True, 3),
        (bulk("O", "sc", a=3.0), True, 3),
    ],
)
def test_degrees_of_freedom_without_thermal_energy(atoms, rotation_free, count):
    assert removed_dof(to_lammps(atoms, ELEMENTS), rotation_free=rotation_free) == count


def test_what_is_left_out_is_said():
    atoms = molecule("H2O", cell=[9, 9, 9], constraint=FixAtoms([0]))

    assert to_lammps(atoms, ELEMENTS).warnings == (
        "the structure file fixes atoms; the run moves all of them",
        "the structure file gives a cell but no periodic directions: no cell is used",
    )
