# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading LAMMPS dumps: every box, every kind of coordinates, every compression."""

import bz2
import gzip
import pickle
import time

import MDAnalysis
import numpy as np
import pytest
import zstandard
from ase.units import kcal, mol

from egraff.analysis.trajectory.reader import EgraffDumpReader, open_universe, standard_cell
from egraff.data.lammps.dump_file import DumpFile
from egraff.data.lammps.dump_format import DumpError
from egraff.data.lammps.dump_scan import read_first_frame, scan_frames
from egraff.errors import InputError, OutputError
from tests.analysis.dumps import frame_text

ORTHOGONAL = np.diag([6.0, 7.0, 8.0])
TILTED = np.array([[6.0, 0.0, 0.0], [1.5, 7.0, 0.0], [-2.0, 2.5, 8.0]])


@pytest.fixture
def positions():
    return np.random.default_rng(3).uniform(0.0, 5.0, (5, 3))


def write(path, *frames):
    path.write_text("".join(frames))
    return path


@pytest.mark.parametrize("cell", [ORTHOGONAL, TILTED], ids=["orthogonal", "triclinic"])
def test_positions_cell_and_origin(tmp_path, positions, cell):
    origin = np.array([-1.0, 0.5, 2.0])
    path = write(tmp_path / "d", frame_text(7, positions + origin, cell, origin=origin))
    universe = open_universe(path)
    ts = universe.trajectory.ts
    np.testing.assert_allclose(ts.data["positions"], positions, atol=1e-14)
    np.testing.assert_allclose(ts.data["cell"], cell, atol=1e-12)
    np.testing.assert_allclose(ts.triclinic_dimensions, cell, atol=1e-5)
    assert ts.data["pbc"] == (True, True, True)
    assert ts.data["step"] == 7
    assert ts.data["positions"].dtype == np.float64


@pytest.mark.parametrize("cell", [ORTHOGONAL, TILTED], ids=["orthogonal", "triclinic"])
@pytest.mark.parametrize("coordinates", ["xs ys zs", "xu yu zu", "xsu ysu zsu"])
def test_other_coordinates(tmp_path, positions, cell, coordinates):
    origin = np.array([1.0, 2.0, 3.0])
    values = positions @ np.linalg.inv(cell) if "s" in coordinates else positions + origin
    path = write(
        tmp_path / "d", frame_text(0, values, cell, origin=origin, coordinates=coordinates)
    )
    ts = open_universe(path).trajectory.ts
    np.testing.assert_allclose(ts.data["positions"], positions, atol=1e-12)


def test_unwrapping_a_tilted_box_adds_box_vectors(tmp_path, positions):
    # adding edge lengths axis by axis, as is often done, forgets the tilt
    images = np.array([[1, 0, 0], [0, -1, 0], [0, 0, 2], [1, 1, 1], [0, 0, 0]])
    extra = dict(zip(("ix", "iy", "iz"), images.T, strict=True))
    path = write(tmp_path / "d", frame_text(0, positions, TILTED, extra=extra))
    ts = open_universe(path, unwrap=True).trajectory.ts
    np.testing.assert_allclose(ts.data["positions"], positions + images @ TILTED, atol=1e-12)


def test_unwrap_without_images_is_refused(tmp_path, positions):
    path = write(tmp_path / "d", frame_text(0, positions, TILTED))
    with pytest.raises(DumpError, match=r"expected columns xu yu zu, or x y z with ix iy iz"):
        open_universe(path, unwrap=True)


def test_general_triclinic_is_turned_with_its_vectors(tmp_path, positions):
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    general = TILTED @ turn
    box = "ITEM: BOX BOUNDS abc origin pp pp pp\n" + "".join(
        " ".join(f"{value:.17g}" for value in (*row, 0.0)) + "\n" for row in general
    )
    forces = np.random.default_rng(1).normal(size=(5, 3))
    turned = forces @ turn
    extra = dict(zip(("fx", "fy", "fz"), turned.T, strict=True))
    path = write(tmp_path / "d", frame_text(0, positions @ turn, general, box=box, extra=extra))
    ts = open_universe(path).trajectory.ts
    np.testing.assert_allclose(ts.data["cell"], TILTED, atol=1e-12)
    np.testing.assert_allclose(ts.data["positions"], positions, atol=1e-12)
    np.testing.assert_allclose(ts.data["forces"], forces, atol=1e-12)


def test_standard_cell_keeps_lengths_and_angles():
    cell = np.random.default_rng(5).normal(size=(3, 3)) + 4 * np.eye(3)
    lower, rotation = standard_cell(cell)
    np.testing.assert_allclose(cell @ rotation, lower, atol=1e-12)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.all(np.diag(lower) > 0)


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".zst", zstandard.ZstdCompressor().compress),
        ("", bytes),
    ],
)
def test_compression_and_random_access(tmp_path, positions, suffix, pack):
    text = "".join(frame_text(10 * k, positions + 0.1 * k, ORTHOGONAL) for k in range(6))
    path = tmp_path / f"d.lammpstrj{suffix}"
    path.write_bytes(pack(text.encode()))
    dump = DumpFile(path)
    assert len(dump) == 6
    for index in (4, 1, 5, 0):
        np.testing.assert_allclose(dump.read(index).positions(), positions + 0.1 * index)


def test_units_and_time_headers(tmp_path, positions):
    first = frame_text(0, positions, ORTHOGONAL, prefix="ITEM: UNITS\nmetal\nITEM: TIME\n0\n")
    second = frame_text(20, positions, ORTHOGONAL, prefix="ITEM: TIME\n0.03\n")
    universe = open_universe(write(tmp_path / "d", first, second), timestep_fs=1.0)
    # the time that the file states wins over the time step
    assert [ts.time for ts in universe.trajectory] == [0.0, 0.03]
    assert universe.trajectory.dt == pytest.approx(0.03)
    assert universe.trajectory.dump.units == "metal"


def test_real_units_become_metal(tmp_path, positions):
    extra = {name: np.ones(5) for name in ("vx", "vy", "vz", "fx", "fy", "fz")}
    frame = frame_text(5, positions, ORTHOGONAL, extra=extra, prefix="ITEM: UNITS\nreal\n")
    ts = open_universe(write(tmp_path / "d", frame)).trajectory.ts
    np.testing.assert_allclose(ts.data["velocities"], 1000.0)  # A/fs to A/ps
    np.testing.assert_allclose(ts.data["forces"], kcal / mol)
    assert kcal / mol == pytest.approx(0.0433641, rel=1e-5)


def test_lj_units_are_refused(tmp_path, positions):
    frame = frame_text(0, positions, ORTHOGONAL, prefix="ITEM: UNITS\nlj\n")
    with pytest.raises(InputError, match="expected units metal or real, got lj"):
        open_universe(write(tmp_path / "d", frame))


def test_atoms_are_sorted_by_id_with_everything(tmp_path, positions):
    extra = {"fx": np.arange(5.0), "fy": np.zeros(5), "fz": np.zeros(5), "c_pe": np.arange(5.0)}
    elements = ["O", "H", "H", "O", "H"]
    ids = [3, 1, 5, 2, 4]
    frame = frame_text(0, positions, ORTHOGONAL, extra=extra, elements=elements, ids=ids)
    universe = open_universe(write(tmp_path / "d", frame), additional_columns=True)
    order = np.argsort(ids)
    ts = universe.trajectory.ts
    np.testing.assert_allclose(ts.data["positions"], positions[order])
    np.testing.assert_allclose(ts.data["forces"][:, 0], order)
    np.testing.assert_allclose(ts.data["c_pe"], order)
    assert universe.atoms.elements.tolist() == [elements[i] for i in order]
    np.testing.assert_allclose(universe.atoms.masses[0], 1.008)


def test_elements_from_types(tmp_path, positions):
    text = frame_text(0, positions, ORTHOGONAL, elements=["H", "O", "H", "H", "O"])
    text = text.replace("type element x", "type x").replace(" H ", " ").replace(" O ", " ")
    path = write(tmp_path / "d", text)
    assert open_universe(path, elements=["H", "O"]).atoms.elements.tolist() == list("HOHHO")
    with pytest.raises(InputError, match="expected an element for each of 2 atom types, got 1"):
        open_universe(path, elements=["H"])


def test_unknown_element_is_refused(tmp_path, positions):
    frame = frame_text(0, positions, ORTHOGONAL, elements=["Xy"] * 5)
    with pytest.raises(InputError, match="element: expected element symbols, got Xy"):
        open_universe(write(tmp_path / "d", frame))


def test_unknown_extra_column_is_refused(tmp_path, positions):
    path = write(tmp_path / "d", frame_text(0, positions, ORTHOGONAL))
    with pytest.raises(DumpError, match="expected one of the columns type, got c_pe"):
        open_universe(path, additional_columns=["c_pe"])


def test_same_numbers_as_mdanalysis(tmp_path, positions):
    extra = {name: np.random.default_rng(2).normal(size=5) for name in ("vx", "vy", "vz")}
    frames = [frame_text(10 * k, positions + k, TILTED, extra=extra) for k in range(4)]
    path = write(tmp_path / "d.lammpstrj", *frames)
    theirs = MDAnalysis.Universe(
        str(path), format="LAMMPSDUMP", topology_format="LAMMPSDUMP", dt=0.001
    )
    for ours, other in zip(
        open_universe(path, timestep_fs=1.0).trajectory, theirs.trajectory, strict=True
    ):
        np.testing.assert_allclose(ours.positions, other.positions, atol=1e-5)
        np.testing.assert_allclose(ours.velocities, other.velocities, atol=1e-6)
        np.testing.assert_allclose(ours.dimensions, other.dimensions, atol=1e-4)
        assert ours.time == pytest.approx(other.time)


def test_reader_slices_copies_and_pickles(tmp_path, positions):
    frames = [frame_text(10 * k, positions + k, ORTHOGONAL) for k in range(5)]
    reader = EgraffDumpReader(write(tmp_path / "d", *frames), timestep_fs=2.0)
    assert [ts.time for ts in reader[1::2]] == pytest.approx([0.02, 0.06])
    assert reader.dt == pytest.approx(0.02)
    assert reader.copy()[3].data["step"] == 30
    # as MDAnalysis sends readers to its worker processes; these bytes are our own
    again = pickle.loads(pickle.dumps(reader))
    assert [ts.data["step"] for ts in again] == [0, 10, 20, 30, 40]


def test_a_dump_in_a_read_only_folder_is_read_without_an_index(tmp_path, positions, monkeypatch):
    def refuse(path):
        raise OutputError("expected a folder that may be written to", where=path)

    monkeypatch.setattr("egraff.data.lammps.dump_file.atomic_path", refuse)
    path = write(tmp_path / "d", frame_text(0, positions, ORTHOGONAL))
    dump = DumpFile(path, save_index=True)
    assert len(dump) == 1
    assert not dump.index_path.exists()


def test_frames_from_a_step_on(tmp_path, positions):
    path = write(tmp_path / "d", *(frame_text(step, positions, ORTHOGONAL) for step in (0, 5, 9)))
    for _ in range(2):  # made, and from the saved index, which has all frames
        dump = DumpFile(path, save_index=True, first_step=5)
        assert dump.steps.tolist() == [5, 9]
    assert read_first_frame(path, 6).header.step == 9
    assert DumpFile(path).steps.tolist() == [0, 5, 9]
    with pytest.raises(DumpError, match="no whole frame"):
        DumpFile(path, first_step=10)


def test_index_is_saved_and_trusted_only_for_its_file(tmp_path, positions):
    frames = [
        frame_text(10 * k, positions + k, ORTHOGONAL, prefix=f"ITEM: TIME\n{k}\n") for k in range(3)
    ]
    path = write(tmp_path / "d", *frames)
    dump = DumpFile(path, save_index=True)
    assert dump.index_path.is_file()
    again = DumpFile(path)
    assert again.entries == dump.entries
    write(path, *frames, frame_text(30, positions, ORTHOGONAL))
    assert len(DumpFile(path)) == 4
    whole = DumpFile(path, save_index=True).index_path.read_bytes()
    for damaged in (b"not an index", b"", whole[:-40], whole[:200]):
        dump.index_path.write_bytes(damaged)
        assert len(DumpFile(path)) == 4


def test_first_frame_alone(tmp_path, positions):
    frames = [frame_text(10 * k, positions + k, ORTHOGONAL) for k in range(3)]
    frame = read_first_frame(write(tmp_path / "d", *frames))
    assert frame.header.step == 0
    np.testing.assert_allclose(frame.positions(), positions)


def test_boundary_words(tmp_path, positions):
    frame = frame_text(0, positions, ORTHOGONAL, boundary="pp ff ss")
    assert open_universe(write(tmp_path / "d", frame)).trajectory.ts.data["pbc"] == (
        True,
        False,
        False,
    )
    old = frame.replace("BOUNDS pp ff ss", "BOUNDS")  # as LAMMPS wrote before 2010
    assert open_universe(write(tmp_path / "d", old)).trajectory.ts.data["pbc"] == (True,) * 3
    tilted = frame_text(0, positions, TILTED).replace("xy xz yz pp pp pp", "xy xz yz")
    assert open_universe(write(tmp_path / "d", tilted)).trajectory.ts.data["pbc"] == (True,) * 3
    with pytest.raises(DumpError, match="expected three boundary words such as pp or fs, got pp q"):
        open_universe(write(tmp_path / "d", frame.replace("pp ff ss", "pp q")))


def without(text, column):
    """A frame without one of its columns."""
    lines = text.split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith("ITEM: ATOMS")) + 1
    place = lines[start - 1].split().index(column) - 2
    lines[start - 1] = lines[start - 1].replace(f" {column}", "")
    for number in range(start, len(lines)):
        words = lines[number].split()
        lines[number] = " ".join(words[:place] + words[place + 1 :])
    return "\n".join(lines)


def test_atoms_without_ids_are_refused_where_their_order_matters(tmp_path, positions):
    frames = [without(frame_text(10 * k, positions, ORTHOGONAL), "id") for k in range(2)]
    assert len(open_universe(write(tmp_path / "d", frames[0])).atoms) == 5
    with pytest.raises(DumpError, match="expected a column id, got type element x y z") as caught:
        open_universe(write(tmp_path / "d", *frames))
    assert "fix: add id to the dump command" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": [1, 2, 3, 4, 6]}, "step 10: expected the atoms of the first frame, id 5, got 6"),
        (
            {"elements": ["Ar", "Ne", "Ne", "Ar", "Ar"]},
            "first frame, type 1 of atom id 3, got 2",
        ),
    ],
)
def test_atoms_that_become_others_are_refused(tmp_path, positions, options, message):
    start = {"ids": range(1, 6), "elements": ["Ar", "Ne", "Ar", "Ar", "Ar"]}
    frames = [
        frame_text(10 * k, positions, ORTHOGONAL, **chosen)
        for k, chosen in enumerate((start, start | options))
    ]
    universe = open_universe(write(tmp_path / "d", *frames))
    with pytest.raises(DumpError, match=message):
        universe.trajectory[1]


def test_two_systems_in_one_file_are_refused(tmp_path, positions):
    first = frame_text(10, positions, ORTHOGONAL, elements=["Ar", "Ne", "Ar", "Ar", "Ar"])
    second = frame_text(0, positions, ORTHOGONAL, elements=["Ne", "Ar", "Ar", "Ar", "Ar"])
    with pytest.raises(DumpError, match="in all frames, got two: another type in the first"):
        open_universe(write(tmp_path / "d", first, second))


def test_the_element_that_lammps_writes_by_default_says_nothing(tmp_path, positions):
    text = frame_text(0, positions, ORTHOGONAL, elements=["C"] * 5)
    path = write(tmp_path / "d", text)
    with pytest.raises(InputError, match="expected the elements of the atoms, got C for every"):
        open_universe(path)
    for elements in (["Na", "Cl"], ["C"]):
        assert set(open_universe(path, elements=elements).atoms.elements) == {elements[0]}
    masses = {name: np.full(5, value) for name, value in (("C", 12.011), ("Na", 22.99))}
    for element, mass in masses.items():
        extra = frame_text(0, positions, ORTHOGONAL, elements=["C"] * 5, extra={"mass": mass})
        path = write(tmp_path / "d", extra)
        if element == "C":
            assert set(open_universe(path).atoms.elements) == {"C"}
            continue
        with pytest.raises(InputError, match=r"expected the mass of C, got 22\.99, which"):
            open_universe(path)


def test_elements_must_be_told_by_the_dump_or_by_types(tmp_path, positions):
    text = frame_text(0, positions, ORTHOGONAL, elements=["Si"] * 5)
    path = write(tmp_path / "d", text)
    message = "element: expected element Na of type 1, got Si"
    with pytest.raises(InputError, match=message):
        open_universe(path, elements=["Na", "Cl"])
    path = write(tmp_path / "d", without(without(text, "type"), "element"))
    with pytest.raises(InputError, match="expected a column type or element, got id x y z"):
        open_universe(path, elements=["Na", "Cl"])
    assert set(open_universe(path, elements=["Na"]).atoms.elements) == {"Na"}


def test_a_large_compressed_frame_costs_little_more_than_its_decompression(tmp_path):
    # it comes in many pieces; copying what is there for each of them is quadratic
    n_atoms = 400_000
    noise = np.random.default_rng(0).random((n_atoms, 3)).tolist()
    lines = b"".join(b"%d 1 Ar %.8f %.8f %.8f\n" % (i, *r) for i, r in enumerate(noise))
    head = frame_text(0, np.zeros((0, 3)), ORTHOGONAL).replace("ATOMS\n0", f"ATOMS\n{n_atoms}")
    path = tmp_path / "d.gz"
    path.write_bytes(gzip.compress(head.encode() + lines, 1))

    def cost(work):
        start = time.process_time()
        work()
        return time.process_time() - start

    def decompress():
        with gzip.open(path) as stream:
            while stream.read1(1 << 22):
                pass

    entries, _ = scan_frames(path, [])
    assert entries[0].n_atoms == n_atoms
    assert min(cost(lambda: scan_frames(path, [])) for _ in range(2)) < 4.0 * cost(decompress)
