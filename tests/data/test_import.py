# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff data import``: what is common to all layouts."""

import gzip
import json

import ase.io
import numpy as np
import pytest
import yaml
from ase import Atoms
from typer.testing import CliRunner

from egraff.cli.data import app
from egraff.cli.data_import import Layout
from egraff.data import read_frames
from egraff.data.catalogue import load
from egraff.data.importers import IMPORTERS
from egraff.data.importers.units import ENERGIES, unit
from egraff.errors import InputError
from tests.data import catalogues
from tests.data.trajectories import molecule, save_npz


def call(source, layout, out, *arguments):
    command = ["import", source, "--as", layout, "-o", out, *arguments]
    return CliRunner().invoke(app, list(map(str, command)), env={"COLUMNS": "300"})


def output(*arguments):
    result = call(*arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


def refusal(text, *arguments):
    with pytest.raises(InputError, match=text):
        raise call(*arguments).exception


def manifest(out):
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))["files"]


def test_the_command_offers_every_layout():
    assert {layout.value for layout in Layout} == set(IMPORTERS)


def test_units_have_their_definitions():
    # 1 eV = 23.060548 kcal/mol = 96.485332 kJ/mol (CODATA)
    assert 1 / ENERGIES["kcal/mol"] == pytest.approx(23.0605478, abs=1e-6)
    assert 1 / ENERGIES["kJ/mol"] == pytest.approx(96.4853321, abs=1e-6)
    assert ENERGIES["Hartree"] == pytest.approx(27.2113862, abs=1e-6)
    assert 2 * ENERGIES["Ry"] == pytest.approx(ENERGIES["Hartree"])


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("EV", "energy", "eV"),
        ("kcal/mol", "energy", "kcal/mol"),
        ("Ang", "length", "A"),
        ("kcal/mol/Ang", "force", "kcal/mol/A"),
        ("Hartree/Bohr", "force", "Hartree/Bohr"),
    ],
)
def test_units_are_known_by_their_spellings(text, kind, name):
    assert unit(text, kind, where="x") == name


def test_a_unit_that_is_none_is_refused(tmp_path):
    source = save_npz(tmp_path / "a.npz", molecule())
    for option, text in (("energy", "joule"), ("energy", "A"), ("length", "eV"), ("force", "eV")):
        units = {"energy": "eV", option: text}
        flags = [word for name, value in units.items() for word in (f"--{name}-unit", value)]
        told = rf"--{option}-unit: expected a unit of {option} \(.*\), got '{text}'"
        refusal(told, source, "npz", tmp_path, *flags)


def test_labels_are_converted_and_the_manifest_says_whence(tmp_path):
    arrays = molecule()
    source = save_npz(tmp_path / "copy" / "w.npz", arrays, energy="kcal/mol")
    text = output(
        source, "npz", tmp_path / "out", "--energy-unit", "kcal/mol", "--licence", "CC0",
        "--origin", "a page",
    )  # fmt: skip
    assert "licence: CC0" in text
    frames = read_frames(tmp_path / "out" / "w.xyz.gz")
    np.testing.assert_allclose([f.energy for f in frames], arrays["energy"], atol=1e-9)
    # eight decimals in the file
    np.testing.assert_allclose([f.forces for f in frames], arrays["forces"], atol=1e-8)
    assert frames[3].info["source_index"] == 3
    entry = manifest(tmp_path / "out")["w.xyz.gz"]
    assert entry["licence"] == "CC0"
    assert entry["origin"] == "a page"
    assert entry["units"] == {
        "energy": "kcal/mol",
        "force": "kcal/mol/A",
        "length": "A",
        "said_by": "the command line",
    }
    slope = entry["checks"]["energy_over_work_of_forces"]
    assert slope["judged"]
    # the trapezoidal rule is exact for springs; forces have eight decimals
    assert slope["slope"] == pytest.approx(1.0, abs=1e-5)


def test_a_unit_that_nobody_states_is_asked_for(tmp_path):
    arrays = molecule()
    kcal = save_npz(tmp_path / "kcal.npz", arrays, energy="kcal/mol")
    refusal(
        "expected a statement of the unit of energy, found none; their size is that of energies in "
        "kcal/mol\n.*--energy-unit kcal/mol",
        kcal, "npz", tmp_path / "out",
    )  # fmt: skip
    # what pseudopotentials leave could be anything
    valence = {**arrays, "energy": arrays["energy"] / 5}
    valence = save_npz(tmp_path / "valence.npz", valence)
    refusal("found none\n  fix: state it: --energy-unit UNIT", valence, "npz", tmp_path / "out")


def test_forces_alone_need_a_unit(tmp_path):
    arrays = molecule()
    del arrays["energy"]
    np.savez(tmp_path / "a.npz", **arrays)
    refusal("unit of energy, found none", tmp_path / "a.npz", "npz", tmp_path / "out")
    output(tmp_path / "a.npz", "npz", tmp_path / "out", "--force-unit", "meV/A")
    (first, *_) = read_frames(tmp_path / "out" / "a.xyz.gz")
    np.testing.assert_allclose(first.forces, arrays["forces"][0] / 1000, atol=1e-8)


def test_labels_that_no_frame_has_are_told(tmp_path):
    arrays = molecule()
    del arrays["forces"]
    np.savez(tmp_path / "a.npz", **arrays)
    text = output(tmp_path / "a.npz", "npz", tmp_path / "out", "--energy-unit", "eV")
    assert "note: a: no frame has forces" in text


def test_a_statement_that_does_not_fit_is_told(tmp_path):
    source = save_npz(tmp_path / "a.npz", molecule())
    text = output(source, "npz", tmp_path / "out", "--energy-unit", "kcal/mol")
    assert "note: a: energies are taken to be in kcal/mol, as stated; their size is that of" in text


def test_arrays_that_are_not_read_are_told(tmp_path):
    source = save_npz(tmp_path / "a.npz", {**molecule(), "charges": np.zeros((30, 3))})
    text = output(source, "npz", tmp_path / "out", "--energy-unit", "eV")
    assert "note: a: not read: charges" in text
    assert manifest(tmp_path / "out")["a.xyz.gz"]["changed"] == ["not read: charges"]


def test_lengths_are_converted(tmp_path):
    source = save_npz(tmp_path / "a.npz", molecule())
    output(source, "npz", tmp_path / "out", "--energy-unit", "eV", "--length-unit", "A")
    plain = read_frames(tmp_path / "out" / "a.xyz.gz")[0]
    arrays = molecule()
    arrays["pos"] = arrays["pos"] / 0.529177210903
    arrays["forces"] = arrays["forces"] * 0.529177210903
    source = save_npz(tmp_path / "bohr.npz", arrays)
    output(source, "npz", tmp_path / "out", "--energy-unit", "eV", "--length-unit", "Bohr")
    bohr = read_frames(tmp_path / "out" / "bohr.xyz.gz")[0]
    # CODATA of ASE (2014) and above (2018) differ in the tenth digit
    np.testing.assert_allclose(bohr.positions, plain.positions, atol=2e-8)
    np.testing.assert_allclose(bohr.forces, plain.forces, atol=2e-8)


def test_energies_and_forces_of_two_units_are_refused_unless_stated(tmp_path):
    source = save_npz(tmp_path / "a.npz", molecule(), energy="kcal/mol", force="eV")
    mixed = "energies change 23.* looks like energies in kcal/mol, forces in eV/A.*\n.*--force-unit"
    refusal(mixed, source, "npz", tmp_path / "out", "--energy-unit", "kcal/mol")
    both = ("--energy-unit", "kcal/mol", "--force-unit", "eV/A")
    output(source, "npz", tmp_path / "out", *both)


def test_energies_too_large_for_the_stated_unit_are_refused(tmp_path):
    source = save_npz(tmp_path / "a.npz", molecule(), energy="kcal/mol")
    refusal("looks like kcal/mol", source, "npz", tmp_path / "out", "--energy-unit", "eV")


def test_copies_within_and_between_files_are_told_and_recorded(tmp_path):
    arrays = molecule(12)
    copied = {**arrays, **{k: arrays[k][[0, 1, 2, 3, 3]] for k in ("pos", "energy", "forces")}}
    save_npz(tmp_path / "copy" / "train.npz", arrays)
    save_npz(tmp_path / "copy" / "val.npz", copied)
    text = output(tmp_path / "copy", "npz", tmp_path / "out", "--energy-unit", "eV")
    assert "5 of 5 frames of val have the geometry of frames of train" in text
    files = manifest(tmp_path / "out")
    assert files["val.xyz.gz"]["checks"]["repeated_geometries"] == 1
    assert files["train.xyz.gz"]["checks"]["shared_geometries"] == {"val": 5}
    assert files["val.xyz.gz"]["checks"]["shared_geometries"] == {"train": 5}


def test_frames_are_chosen(tmp_path):
    source = save_npz(tmp_path / "a.npz", molecule(12))
    output(source, "npz", tmp_path / "out", "--energy-unit", "eV", "--frames", "spread 3")
    frames = read_frames(tmp_path / "out" / "a.xyz.gz")
    assert [frame.info["source_index"] for frame in frames] == [0, 4, 8]
    refusal(
        "expected all, start:stop:step, spread N or not spread N, got '3'",
        source, "npz", tmp_path / "o", "--energy-unit", "eV", "--frames", "3",
    )  # fmt: skip


def test_bytes_do_not_depend_on_the_time(tmp_path, monkeypatch):
    source = save_npz(tmp_path / "a.npz", molecule())
    for clock, out in ((0.0, "one"), (1e9, "two")):
        monkeypatch.setattr("time.time", lambda clock=clock: clock)
        output(source, "npz", tmp_path / out, "--energy-unit", "eV")
    one, two = ((tmp_path / out / "a.xyz.gz").read_bytes() for out in ("one", "two"))
    assert one == two


def test_files_that_are_there_are_kept_and_manifests_joined(tmp_path):
    first = save_npz(tmp_path / "a.npz", molecule(seed=1))
    second = save_npz(tmp_path / "b.npz", molecule(seed=2))
    for source in (first, second):
        output(source, "npz", tmp_path / "out", "--energy-unit", "eV")
    assert set(manifest(tmp_path / "out")) == {"a.xyz.gz", "b.xyz.gz"}
    refusal("the file exists already", first, "npz", tmp_path / "out", "--energy-unit", "eV")
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text('{"files": []}')
    refusal("expected a manifest of earlier", first, "npz", other, "--energy-unit", "eV")
    assert not (other / "a.xyz.gz").exists()


def test_options_that_mean_nothing_for_a_layout_are_refused(tmp_path):
    source = save_npz(tmp_path / "a.npz", molecule())
    refusal("--elements: does not apply to npz", source, "npz", tmp_path, "--elements", "H,O")
    refusal("--set: does not apply to md17", source, "md17", tmp_path, "--set", "acac")


def test_a_source_that_is_not_there_is_refused(tmp_path):
    refusal("expected a file or folder, found none", tmp_path / "none", "npz", tmp_path)


@pytest.fixture
def copy(monkeypatch, tmp_path):
    """A made-up catalogue, and a copy of the repository that its files are from."""
    catalogues.install(monkeypatch, tmp_path)
    yield tmp_path / "data"
    for function in catalogues.CLEARED:
        function.cache_clear()


def test_recipes_make_the_files_of_the_catalogue(copy, tmp_path):
    (copy / "water" / "hot.xyz").unlink()
    out = tmp_path / "out"
    text = output(copy, "egraffbench", out)
    assert "3 of them are those of the catalogue" in text
    assert "not in this copy: water/hot.xyz.gz: water/hot.xyz is not in this copy" in text
    entry = manifest(out)["water/train.xyz.gz"]
    assert entry["catalogue"] == "same"
    assert "LICENSE file is empty" in entry["licence"]
    assert entry["cite"]
    frame = read_frames(out / "water" / "train.xyz.gz")[2]
    assert frame.info["config_type"] == "water"
    assert (frame.info["source"], frame.info["source_index"]) == ("water/train.xyz", 2)


def test_recipes_find_the_folder_of_the_data_below_the_copy(copy, tmp_path):
    repository = tmp_path / "clone"
    repository.mkdir()
    copy.rename(repository / "Datasets")
    assert "4 of them" in output(repository, "egraffbench", tmp_path / "out", "--set", "water")


def test_frames_that_differ_from_the_catalogue_are_told(copy, tmp_path):
    catalogues.write_water(copy / "water" / "hot.xyz", range(40, 43))
    text = output(copy, "egraffbench", tmp_path / "out")
    assert "note: water/hot.xyz.gz: not the frames that the catalogue describes" in text
    assert manifest(tmp_path / "out")["water/hot.xyz.gz"]["catalogue"] == "different"


def test_a_copy_without_any_file_of_a_repository_is_refused(copy, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    refusal(
        "expected files of egraffbench, such as water/.*, found none", empty, "egraffbench", copy
    )
    refusal("has no set 'ice'", copy, "egraffbench", tmp_path / "out", "--set", "ice")
    refusal("expected files of botnet, found none", copy, "botnet", tmp_path / "out")


def test_recipes_select_drop_cells_and_keep_structure_only(copy, tmp_path):
    path = load.folder() / "sets" / "water.yaml"
    one = yaml.safe_load(path.read_text())
    boxed = ase.io.read(copy / "water" / "train.xyz", ":")
    for atoms in boxed:
        atoms.cell, atoms.pbc = 50 * np.eye(3), True
    ase.io.write(copy / "water" / "train.xyz", boxed, format="extxyz")
    source = one["files"]["water/train.xyz.gz"]["sources"][0]
    one["files"] = {
        f"water/{name}.xyz.gz": {
            "content": name,
            "unverified": "made up",
            "sources": [{**source, "frames": frames}],
            "structure_only": name == "structure",
        }
        for name, frames in (("rest", "not spread 2"), ("structure", "0:6:3"))
    }
    path.write_text(yaml.safe_dump(one))
    load.catalogue.cache_clear()
    text = output(copy, "egraffbench", tmp_path / "out")
    assert "water/rest.xyz.gz: the catalogue has no digest" in text
    assert "no frame has" not in text
    rest = read_frames(tmp_path / "out" / "water" / "rest.xyz.gz")
    assert [frame.info["source_index"] for frame in rest] == [1, 2, 4, 5]
    assert not rest[0].pbc.any()
    assert not rest[0].cell.any()
    structure = read_frames(tmp_path / "out" / "water" / "structure.xyz.gz")
    assert structure[1].energy is None
    assert structure[1].forces is None
    np.testing.assert_array_equal(structure[1].positions, boxed[3].positions.round(4))
    changed = manifest(tmp_path / "out")["water/structure.xyz.gz"]["changed"]
    assert "a cell that means nothing is left out" in changed
    assert "frames 0:6:3 of 6" in changed


def test_isolated_atoms_get_the_forces_of_symmetry(copy, tmp_path):
    atom = Atoms("H", info={"energy": -13.6})
    ase.io.write(copy / "water" / "train.xyz", [atom], format="extxyz")
    output(copy, "egraffbench", tmp_path / "out")
    with gzip.open(tmp_path / "out" / "water" / "train.xyz.gz", "rt") as stream:
        assert "forces:R:3" in stream.read()
    (frame,) = read_frames(tmp_path / "out" / "water" / "train.xyz.gz")
    assert frame.forces.tolist() == [[0.0, 0.0, 0.0]]
