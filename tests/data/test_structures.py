# SPDX-License-Identifier: GPL-2.0-or-later
"""One reader for all structures: a type number is never an atomic number."""

import bz2
import gzip
import logging

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.units import fs, kcal, mol

from egraff.data.frames import read_frames, read_images
from egraff.data.lammps.elements import element_of_mass, parse_elements
from egraff.errors import InputError
from egraff.lammps.structure import read_structure, to_lammps, write_data

BOX = "ITEM: BOX BOUNDS pp pp ff\n0 12\n0 12\n1 13\n"


def dump(columns, rows, *, step=0, prefix=""):
    """One frame, as LAMMPS writes it."""
    atoms = "".join(f"{row} \n" for row in rows)
    head = f"{prefix}ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(rows)}\n"
    return f"{head}{BOX}ITEM: ATOMS {columns}\n{atoms}"


TYPES = dump("id type x y z", ["2 1 3 3 4.21", "1 1 3 3 3"])
MIXED = dump("id type x y z", ["2 2 3 3 4.21", "1 1 3 3 3"])
DEFAULT = dump("id type element x y z", ["1 1 C 3 3 4.21", "2 2 C 3 3 3"])


@pytest.fixture
def write(tmp_path):
    def put(text, name="a.lammpstrj"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return put


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TYPES, r"frame of step 0: expected a column element, got id type x y z"),
        (MIXED, r"frame of step 0: expected a column element, got id type x y z"),
        (DEFAULT, r"element: expected the elements of the atoms, got C for every atom"),
        (dump("id x y z", ["1 0 0 0"]), r"expected a column element, got id x y z"),
        (dump("id element x y z", ["1 1 0 0 0"]), r"element: expected element symbols, got 1"),
        (
            dump("id element mass x y z", ["1 C 15.999 0 0 0"]),
            r"element: expected the mass of C, got 15\.999, which is that of O",
        ),
        (
            dump("id element x y z", ["1 O 0 0 0"], prefix="ITEM: UNITS\nlj\n"),
            r"units: expected units metal or real, got lj",
        ),
    ],
)
@pytest.mark.parametrize("name", ["a.lammpstrj", "b.dump", "c.xyz", "d.data", "e.txt.gz"])
def test_a_dump_that_names_no_elements_is_refused(write, text, message, name):
    """Whatever its name: ASE would read the first as two atoms of hydrogen."""
    content = gzip.compress(text.encode()) if name.endswith(".gz") else text
    for read in (read_images, read_frames, read_structure):
        with pytest.raises(InputError, match=message):
            read(write(content, name))


@pytest.mark.parametrize(("text", "symbols"), [(MIXED, "OH"), (DEFAULT, "OH"), (TYPES, "O2")])
def test_the_user_names_the_elements_of_types(write, text, symbols):
    assert str(read_structure(write(text), elements=["O", "H"]).symbols) == symbols


def test_a_symbol_in_the_dump_wins_over_none_and_contradicts_another(write):
    path = write(dump("id type element x y z", ["1 1 O 0 0 0", "2 2 H 0 0 1"]))
    assert str(read_structure(path).symbols) == "OH"
    assert str(read_structure(path, elements=["O", "H"]).symbols) == "OH"
    with pytest.raises(InputError, match="element: expected element H of type 1, got O"):
        read_structure(path, elements=["H", "O"])
    with pytest.raises(InputError, match="expected an element for each of 2 atom types, got 1"):
        read_structure(path, elements=["O"])


def test_masses_of_a_dump_tell_elements_also_of_carbon(write):
    columns = "id type element mass x y z"
    assert str(read_structure(write(dump(columns, ["1 1 C 12.01 0 0 0"]))).symbols) == "C"
    rows = ["1 1 15.999 0 0 0", "2 2 2.014 0 0 1"]
    with pytest.raises(InputError, match="expected a column element, got id type mass"):
        read_structure(write(dump("id type mass x y z", rows)))
    rows = ["1 1 15.999 0 0 0", "2 2 1.008 0 0 1"]
    assert str(read_structure(write(dump("id type mass x y z", rows))).symbols) == "OH"


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
def test_frames_of_a_dump_in_metal_units(write, compress):
    columns = "id element x y z vx vy vz fx fy fz"
    rows = ["2 H 0 0 2 4 5 6 0.4 0.5 0.6", "1 O 1 2 3 1 2 3 0.1 0.2 0.3"]
    units = "ITEM: UNITS\nreal\n"
    text = dump(columns, rows, prefix=units) + dump(columns, rows, step=7).replace("O 1", "O 9")
    path = write(compress(text.encode()), "a.dump.zip")

    first, last = read_structure(path), read_structure(path, frame=-1)
    assert str(first.symbols) == "OH"
    assert first.positions.tolist() == [[1, 2, 3], [0, 0, 2]]
    assert last.positions[0].tolist() == [9, 2, 3]
    assert first.pbc.tolist() == [True, True, False]
    assert first.cell.lengths().tolist() == [12, 12, 12]
    np.testing.assert_allclose(first.get_velocities()[0] * fs, [1, 2, 3], rtol=1e-14)
    frame = read_frames(path)[1]
    assert frame.info["step"] == 7
    assert frame.energy is None  # not a number that was made up
    np.testing.assert_allclose(frame.forces[1] * mol / kcal, [0.4, 0.5, 0.6], rtol=1e-14)
    with pytest.raises(InputError, match="frame: expected a frame from 0 to 1, got 2"):
        read_structure(path, frame=2)


def test_what_is_concluded_is_logged(write, caplog):
    text = dump("id element x y z fx fy fz", ["1 O 0 0 0 0 0 0"])
    with caplog.at_level(logging.WARNING):
        read_structure(write(text))
    assert "taken for those of units metal, as the dump has no UNITS" in caplog.text


FULL = """LAMMPS data file via write_data, version 22 Jul 2025, timestep = 0, units = metal

3 atoms
2 atom types

-1 9 xlo xhi
0 8 ylo yhi
0 7 zlo zhi
2.5 -1.5 3 xy xz yz

Masses

1 15.999
2 1.008

Pair Coeffs # lj/cut

1 0.1 3.0
2 0.1 3.0

Atoms # full

3 1 2 0.4 2 2 1 0 0 0
1 1 1 -0.8 1 1.5 1 1 0 0
2 1 2 0.4 5.5 5 2 0 0 0

Velocities

1 0.1 0.2 0.3
2 0.4 0.5 0.6
3 0.7 0.8 0.9

Bonds

1 1 1 2
"""


@pytest.mark.parametrize("name", ["a.data", "data.water", "a.lmp", "a.xyz"])
def test_a_data_file_by_its_content(write, caplog, name):
    with caplog.at_level(logging.WARNING):
        atoms = read_structure(write(FULL, name))

    assert atoms.get_chemical_symbols() == ["O", "H", "H"]
    assert atoms.positions.tolist() == [[1, 1.5, 1], [5.5, 5, 2], [2, 2, 1]]
    assert atoms.cell.array.tolist() == [[10, 0, 0], [2.5, 8, 0], [-1.5, 3, 7]]
    assert atoms.pbc.all()
    assert atoms.get_masses().tolist() == [15.999, 1.008, 1.008]
    np.testing.assert_allclose(atoms.get_velocities()[1] * 1000 * fs, [0.4, 0.5, 0.6], rtol=1e-14)
    assert f"{name}: elements told from masses: O (15.999), H (1.008)" in caplog.text
    assert f"{name}: periodic in all directions, which a data file does not say" in caplog.text


def test_velocities_of_a_data_file_in_real_units(write):
    atoms = read_structure(write(FULL.replace("units = metal", "units = real")))
    np.testing.assert_allclose(atoms.get_velocities()[0] * fs, [0.1, 0.2, 0.3], rtol=1e-14)


CHARGE = (
    "\n2 atoms\n2 atom types\n0 9 xlo xhi\n0 8 ylo yhi\n0 7 zlo zhi\n\n{labels}Masses\n\n"
    "{masses}\n\nAtoms{style}\n\n2 {second} 0.5 1 2 3\n1 {first} -0.5 4 5 6\n"
)
LABELS = "Atom Type Labels\n\n1 H\n2 O\n\n"


def charge(masses="1 15.999\n2 1.008", style=" # charge", labels="", first="1", second="2"):
    return CHARGE.format(masses=masses, style=style, labels=labels, first=first, second=second)


@pytest.mark.parametrize(
    ("text", "elements", "symbols"),
    [
        (charge(), None, "OH"),
        (charge(), ["O", "H"], "OH"),
        (charge(masses="1 3.0 # H\n2 2.014 # O"), None, "HO"),  # masses of no element
        (charge(masses="1 100\n2 200"), ["Na", "Cl"], "NaCl"),
        (charge(masses="1 15.999 # OW\n2 1.008 # HW"), None, "OH"),
        (charge("H 1.008\nO 15.999", labels=LABELS, first="O", second="H"), None, "OH"),
    ],
)
def test_elements_of_a_data_file(write, text, elements, symbols):
    atoms = read_structure(write(text, "a.data"), elements=elements)
    assert str(atoms.symbols) == symbols
    assert atoms.positions.tolist() == [[4, 5, 6], [1, 2, 3]]


@pytest.mark.parametrize(
    ("text", "elements", "message"),
    [
        (charge(), ["H", "O"], r"Masses: expected the mass of H, got 15\.999, which is that of O"),
        (charge("1 15.999 # H\n2 1.008 # O"), None, r"Masses: expected the mass of H, got 15\.999"),
        (charge("1 40.0\n2 1.008"), None, r"elements of types, got none of 1 \(mass 40\)"),
        (charge("1 2.014\n2 1"), None, r"the elements of types, got none of 1 \(mass 2\."),
        (charge(), ["O"], r"elements: expected an element for each of 2 atom types, got 1"),
        (charge(), ["O", "1"], r"elements: expected element symbols, got 1"),
        (
            charge(style=""),
            None,
            r"Atoms: expected an atom style of atomic, .*, got no style and 6",
        ),
        (charge(style=" # dipole"), None, r"Atoms: expected an atom style .* got the style dipole"),
        (charge(second="3"), None, r"Atoms: expected types from 1 to 2, got 1 to 3"),
        (charge(second="X"), None, r"Atoms: expected numbers: .*'X'"),
        (charge() + "3 1 0 0 0 0\n", None, r"Atoms: expected 2 lines of one length, got 3 lines"),
        (charge().replace("2 2 0.5", "1 2 0.5"), None, r"atom id 1 occurs twice"),
        ("units = lj" + charge(), None, r"units: expected units metal or real, got lj"),
        (charge().replace("2 atom types", ""), None, r"expected a line or section atom types, got"),
        (charge().replace("0 8 ylo yhi", ""), None, r"expected a line that ends in ylo yhi, got"),
        (FULL.replace("2 0.4 0.5 0.6", ""), None, r"Velocities: expected velocities of the 3 at"),
    ],
)
def test_data_files_that_are_refused(write, text, elements, message):
    with pytest.raises(InputError, match=message):
        read_structure(write(text, "a.data"), elements=elements)


def test_what_egraff_writes_is_read_back(tmp_path):
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.rattle(0.1, seed=1)
    structure = to_lammps(atoms, ["Cl", "Na"])
    write_data(tmp_path / "structure.data", structure, title="salt")
    again = to_lammps(read_structure(tmp_path / "structure.data"), ["Cl", "Na"])

    assert again.elements == structure.elements
    assert again.types.tolist() == structure.types.tolist()
    np.testing.assert_array_equal(again.positions, structure.positions)
    np.testing.assert_array_equal(again.box.matrix, structure.box.matrix)


def test_elements_belong_to_files_with_types(tmp_path):
    ase.io.write(tmp_path / "a.xyz", molecule("H2O"))
    message = "--elements: expected a LAMMPS dump or data file, .*, got \\.xyz\n"
    with pytest.raises(InputError, match=message):
        read_structure(tmp_path / "a.xyz", elements=["O", "H"])


def test_an_at_sign_in_a_name_is_no_frame(tmp_path):
    ase.io.write(tmp_path / "a.xyz", molecule("CH4"))
    ase.io.write(tmp_path / "b.xyz", molecule("H2O"))
    (tmp_path / "b.xyz").rename(tmp_path / "a.xyz@0.xyz")
    assert len(read_structure(tmp_path / "a.xyz@0.xyz")) == 3


def test_formats_of_which_elements_are_made_up(write, tmp_path):
    with pytest.raises(InputError, match=r"expected a LAMMPS data file .* or RuNNer data"):
        read_images(write("3 particles\n", "a.data"))
    with pytest.raises(InputError, match="expected a format that names elements, got netcdf"):
        read_images(write(b"CDF\x01" + bytes(400), "a.nc"))
    sodium = Atoms("C2", [[0, 0, 0], [2, 2, 2]], cell=[4] * 3, pbc=True)
    for mass, name in ((22.99, "a.cfg"), (12.011, "b.cfg")):
        sodium.set_masses([mass] * 2)
        ase.io.write(tmp_path / name, sodium)
    with pytest.raises(InputError, match=r"expected the mass of C, got 22\.99, which is that of N"):
        read_images(tmp_path / "a.cfg")
    assert str(read_structure(tmp_path / "b.cfg").symbols) == "C2"


@pytest.mark.parametrize(
    ("mass", "element"),
    [
        (1.0, "H"),
        (15.9994, "O"),
        (16.0, "O"),
        (58.7, "Ni"),
        (208.98, "Bi"),
        (40.0, None),  # Ar 39.95, Ca 40.08
        (2.014, None),
        (100.0, None),
    ],
)
def test_a_mass_tells_one_element_or_none(mass, element):
    assert element_of_mass(mass) == element


def test_symbols_of_an_option():
    assert parse_elements("O H") == parse_elements("O,H") == ["O", "H"]
    for text, message in (("1 2", "got 1, 2"), ("", "got none"), ("o", "got o")):
        with pytest.raises(InputError, match=f"--elements: expected element symbols, {message}"):
            parse_elements(text)
