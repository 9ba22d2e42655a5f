# SPDX-License-Identifier: GPL-2.0-or-later
import bz2

import numpy as np
import pytest

from egraff.data import read_frames
from egraff.data.importers import ImportOptions, import_data
from egraff.data.importers.units import ENERGIES
from tests.data.imports import agrees, imported, refused
from tests.data.trajectories import crystal, molecule, save_npz

KCAL = ENERGIES["kcal/mol"]


def sgdml(path, arrays, unit=KCAL, **more):
    np.savez(
        path,
        z=arrays["atomic_numbers"],
        R=arrays["pos"],
        E=arrays["energy"][:, None] / unit,
        F=arrays["forces"] / unit,
        **more,
    )
    return path


@pytest.mark.parametrize("file", ["md17_water.npz", "water_dft.npz"])
def test_md17_is_in_kcal(tmp_path, file):
    arrays = molecule()
    source = sgdml(tmp_path / file, arrays)
    agrees(imported(source, "md17", tmp_path / "out", "md17_water/all"), arrays)


def test_md17_that_is_in_ev_is_refused_until_the_unit_is_stated(tmp_path):
    arrays = molecule()
    source = sgdml(tmp_path / "md17_water.npz", arrays, unit=1.0)
    text = r"expected energies in kcal/mol \(MD17 is published in it\), got numbers of the size.*eV"
    refused(text, source, "md17", tmp_path / "out")
    frames = imported(source, "md17", tmp_path / "out", "md17_water/all", energy_unit="eV")
    agrees(frames, arrays)


def test_units_that_an_archive_states_count(tmp_path):
    arrays = molecule()
    units = {"e_unit": np.array("kcal/mol"), "r_unit": np.array("Ang")}
    source = sgdml(tmp_path / "water.npz", arrays, **units)
    agrees(imported(source, "npz", tmp_path / "out", "water"), arrays)
    refused(
        "the file states kcal/mol, --energy-unit eV",
        source,
        "npz",
        tmp_path / "o",
        energy_unit="eV",
    )


def test_archives_may_be_inside_bzip2_and_hold_a_cell(tmp_path):
    arrays = crystal()
    plain = save_npz(tmp_path / "li.npz", arrays)
    packed = tmp_path / "copy" / "li.npz.bz2"
    packed.parent.mkdir()
    packed.write_bytes(bz2.compress(plain.read_bytes()))
    frames = imported(packed, "npz", tmp_path / "out", "li", energy_unit="eV")
    agrees(frames, arrays)
    np.testing.assert_array_equal(frames[0].cell, 6.0 * np.eye(3))


def test_a_cell_that_nobody_explains_is_refused(tmp_path):
    arrays = {**molecule(), "cell": 9.0 * np.eye(3)}
    source = save_npz(tmp_path / "a.npz", arrays)
    out = tmp_path / "out"
    refused("expected pbc beside cell, found none", source, "npz", out, energy_unit="eV")
    frames = imported(source, "npz", out, "a", energy_unit="eV", periodic=False)
    assert not frames[0].pbc.any()


def test_arrays_that_are_pickles_are_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was read",))

    np.savez(tmp_path / "a.npz", **molecule(), extra=np.array([Trap()], dtype=object))
    refused("extra: this array is a Python pickle", tmp_path / "a.npz", "npz", tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda a: a.pop("pos"), "expected an array of positions .*, found atomic_numbers, energy"),
        (lambda a: a.update(R=a["pos"]), "expected one array of positions, found pos and R"),
        (lambda a: a.update(pos=a["pos"][0]), r"positions: expected shape \(n_frames, n_atoms"),
        (lambda a: a.update(forces=a["forces"][:5]), r"forces: expected shape \(30, 3, 3\), got"),
        (lambda a: a.update(energy=a["energy"][:5]), r"energy: expected shape \(30,\), got \(5,\)"),
        (lambda a: a.update(atomic_numbers=np.array([8.5, 1, 1])), "numbers: expected atomic numb"),
        (lambda a: a.update(atomic_numbers=np.array(["O", "H", "H"])), "got .'O', 'H', 'H'"),
        (lambda a: a.update(atomic_numbers=np.ones(2, int)), r"numbers: expected shape \(3,\) or"),
    ],
)  # fmt: skip
def test_archives_with_other_arrays_are_refused(tmp_path, change, text):
    arrays = molecule()
    change(arrays)
    np.savez(tmp_path / "a.npz", **arrays)
    refused(text, tmp_path / "a.npz", "npz", tmp_path / "out", energy_unit="eV")


def test_two_files_of_one_name_are_refused(tmp_path):
    plain = save_npz(tmp_path / "copy" / "a.v1.npz", molecule())
    (tmp_path / "copy" / "a.v1.npz.bz2").write_bytes(bz2.compress(plain.read_bytes()))
    text = "got two that become a.v1.xyz.gz"
    refused(text, tmp_path / "copy", "npz", tmp_path / "out", energy_unit="eV")
    (tmp_path / "copy" / "a.v1.npz.bz2").rename(tmp_path / "copy" / "a.v2.npz.bz2")
    import_data(tmp_path / "copy", "npz", tmp_path / "out", ImportOptions(energy_unit="eV"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "a.v1.xyz.gz",
        "a.v2.xyz.gz",
        "manifest.json",
    }


def test_archives_that_are_none_are_refused(tmp_path):
    (tmp_path / "a.npz").write_text("version https://git-lfs.github.com/spec/v1\n")
    refused("expected an archive of NumPy arrays.*\n.*Git LFS", tmp_path / "a.npz", "npz", tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(r"expected NumPy archives \(.npz, .npz.bz2\), found none", empty, "md17", tmp_path)


@pytest.fixture
def rmd17(tmp_path):
    arrays = molecule(20)
    (tmp_path / "rmd17" / "npz_data").mkdir(parents=True)
    (tmp_path / "rmd17" / "splits").mkdir()
    np.savez(
        tmp_path / "rmd17" / "npz_data" / "rmd17_water.npz",
        nuclear_charges=arrays["atomic_numbers"],
        coords=arrays["pos"],
        energies=arrays["energy"] / KCAL,
        forces=arrays["forces"] / KCAL,
        old_indices=np.arange(20),
    )
    for part, numbers in (("train", [7, 3, 11]), ("test", [0, 19])):
        text = "".join(f"{number}\n" for number in numbers)
        (tmp_path / "rmd17" / "splits" / f"index_{part}_02.csv").write_text(text)
    return tmp_path / "rmd17", arrays


def test_rmd17_is_cut_as_published(rmd17, tmp_path):
    source, arrays = rmd17
    frames = imported(source, "rmd17", tmp_path / "out", "rmd17_water/train_02", fold=2)
    agrees(frames, {**{k: v[[7, 3, 11]] for k, v in arrays.items() if k != "atomic_numbers"},
                    "atomic_numbers": arrays["atomic_numbers"]})  # fmt: skip
    assert [frame.info["source_index"] for frame in frames] == [7, 3, 11]
    assert len(read_frames(tmp_path / "out" / "rmd17_water" / "test_02.xyz.gz")) == 2


def test_rmd17_alone_is_whole(rmd17, tmp_path):
    source, arrays = rmd17
    file = source / "npz_data" / "rmd17_water.npz"
    file = file.rename(tmp_path / file.name)
    result = import_data(file, "rmd17", tmp_path / "out", ImportOptions())
    agrees(read_frames(tmp_path / "out" / "rmd17_water" / "all.xyz.gz"), arrays)
    assert "splits of rmd17_water" in result.absent[0]


def test_rmd17_refuses_splits_that_do_not_fit(rmd17, tmp_path):
    source, _ = rmd17
    out = tmp_path / "out"
    refused("expected the published split index_train_01.csv, found none", source, "rmd17", out)
    refused("split 2 chooses the frames", source, "rmd17", out, fold=2, frames="0:3")
    index = source / "splits" / "index_test_02.csv"
    index.write_text("0\n20\n")
    refused("expected frame numbers from 0 to 19, got 20", source, "rmd17", out, fold=2)
    index.write_text("a\n")
    refused("expected a frame number in each line", source, "rmd17", out, fold=2)
