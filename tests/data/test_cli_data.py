# SPDX-License-Identifier: GPL-2.0-or-later
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write
from typer.testing import CliRunner

from egraff.cli.data import app
from egraff.data import embedded, list_embedded, load_splits, read_frames
from egraff.errors import InputError
from egraff.files import sha256

VAL = embedded("molecule", "val")


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def output(*arguments):
    result = call(*arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


def refusal(text, *arguments):
    result = call(*arguments)
    assert isinstance(result.exception, InputError)
    assert re.search(text, str(result.exception)), str(result.exception)


def test_list_shows_every_file_of_every_set():
    text = output("list")
    for name, manifest in list_embedded().items():
        assert f"{name}: {manifest['title']}" in text
        for split, entry in manifest["files"].items():
            assert re.search(rf"{split} .* {entry['n_frames']} ", text)


def test_info_reports_what_is_in_the_file():
    text = output("info", VAL, "--against", embedded("molecule", "train"))
    for expected in (
        r"frames +50\n",
        r"atoms per frame +9\n",
        r"elements +C \(100\) H \(300\) O \(50\)\n",
        r"compositions +C2H6O x 50\n",
        r"periodic +F F F\n",
        r"keys in the file +(?=.*energy)(?=.*forces)",
        r"energy \(eV/atom\) +-34\.\d{4} to -34\.\d{4}",
        r"force rms \(eV/A\) +0\.",
        r"pressure \(GPa\) +missing\n",
        r"shortest distance \(A\) +0\.9\d\d\n",
        r"no frame is in ",
    ):
        assert re.search(expected, text), (expected, text)


def test_info_on_a_crystal_shows_volume_and_that_forces_match_energies():
    text = output("info", embedded("crystal", "trajectory"))
    assert re.search(r"dE / \(-F dx\) +0\.98\d\d \(correlation 0\.999", text)
    assert re.search(r"volume \(A\^3\) +\d", text)


def test_info_shows_the_file_before_refusing_it(tmp_path):
    images = read(VAL, ":3")
    images[1].calc.results["forces"][4, 2] = np.nan
    write(tmp_path / "bad.xyz", images, format="extxyz")
    result = call("info", tmp_path / "bad.xyz")
    assert "frames                 3" in result.output
    assert "frame 1, forces: 1 value(s) are NaN" in str(result.exception)


def test_info_refuses_overlap():
    refusal("50 of 50 val.xyz.gz frames are also training frames", "info", VAL, "--against", VAL)


def test_info_prints_remarks(tmp_path):
    images = read(VAL, ":2")
    for atoms in images:
        atoms.calc.results["forces"] += 1.0
    write(tmp_path / "net.xyz", images, format="extxyz")
    assert "note: " in output("info", tmp_path / "net.xyz")


def test_split_copies_frames_with_all_their_columns(tmp_path):
    source = tmp_path / "data.xyz"
    images = read(VAL, ":")
    for number, atoms in enumerate(images):
        atoms.info["number"] = number
        atoms.arrays["charges_extra"] = np.arange(9.0)
    write(source, images, format="extxyz")
    text = output("split", source, "--out", tmp_path / "s", "--seed", 4, "--val", 4)
    assert "train.xyz: 40 frames" in text
    parts = {name: read(tmp_path / "s" / f"{name}.xyz", ":") for name in ("train", "val", "test")}
    assert [len(part) for part in parts.values()] == [40, 4, 5]
    splits = load_splits(tmp_path / "s" / "splits.json", source)
    for name, part in parts.items():
        assert [atoms.info["number"] for atoms in part] == splits[name]
        assert "charges_extra" in part[0].arrays
        again = read_frames(tmp_path / "s" / f"{name}.xyz")
        first = read_frames(source)[splits[name][0]]
        assert again[0].energy == first.energy
        np.testing.assert_array_equal(again[0].forces, first.forces)
    assert json.loads((tmp_path / "s" / "splits.json").read_text())["seed"] == 4


def with_isolated_atoms(path, n_frames=20):
    """Write isolated atoms of H and O around frames of ethanol."""
    atoms = [
        Atoms(symbol, info={"config_type": "IsolatedAtom", "energy": energy})
        for symbol, energy in (("H", -11.7), ("O", -104.0))
    ]
    write(path, [atoms[0], *read(VAL, f":{n_frames}"), atoms[1]], format="extxyz")
    return path


def test_isolated_atoms_are_no_part_of_a_split(tmp_path):
    source = with_isolated_atoms(tmp_path / "data.xyz")
    text = output("split", source, "--out", tmp_path / "s")
    assert "train.xyz: 16 frames, and isolated atoms: H (frame 0), O (frame 21)" in text
    splits = load_splits(tmp_path / "s" / "splits.json", source)
    members = [number for part in splits.values() for number in part]
    assert sorted(members) == list(range(1, 21))
    train = read_frames(tmp_path / "s" / "train.xyz")
    assert [len(frame) for frame in train] == [1, 1, *[9] * 16]
    assert train[1].energy == -104.0
    for name in ("val", "test"):
        assert all(len(frame) == 9 for frame in read_frames(tmp_path / "s" / f"{name}.xyz"))


def test_isolated_atoms_where_nothing_is_trained_on(tmp_path):
    source = with_isolated_atoms(tmp_path / "data.xyz")
    text = output("split", source, "--out", tmp_path / "s", "--train", 0, "--test", 0)
    assert "left out, isolated atoms: H (frame 0), O (frame 21)" in text
    assert all(len(frame) == 9 for frame in read_frames(tmp_path / "s" / "val.xyz"))


def test_info_names_isolated_atoms(tmp_path):
    source = with_isolated_atoms(tmp_path / "data.xyz")
    text = output("info", source)
    assert re.search(r"frames +20\n", text)
    assert re.search(r"isolated atoms +H \(frame 0\), O \(frame 21\)\n", text)
    images = [*read(source, ":"), Atoms("H", info={"energy": -13.6})]
    write(tmp_path / "other.xyz", images, format="extxyz")
    refusal("frame 22, energy: expected one energy of an isolated atom of H", "info",
            tmp_path / "other.xyz")  # fmt: skip


def test_info_on_frames_that_do_not_follow_one_another():
    text = output("info", embedded("molecule", "train"))
    assert not re.search(r"dE / \(-F dx\) +-?\d", text)


def test_the_options_of_labels_reach_the_reader(tmp_path):
    images = read(VAL, ":3")
    for atoms in images:
        results, atoms.calc = atoms.calc.results, None
        atoms.info["E"] = results["energy"]
        atoms.arrays["F"] = results["forces"]
        atoms.set_cell([20, 20, 20])
        atoms.pbc = True
        atoms.info["S"] = np.array([1.0, 2.0, 3.0, 0.0, 0.0, 0.0])
    write(tmp_path / "a.xyz", images, format="extxyz")
    given = ("info", tmp_path / "a.xyz", "--energy-key", "E", "--forces-key", "F", "--stress-key")
    text = output(*given, "S", "--stress-unit", "GPa", "--stress-sign", "compression")
    assert re.search(r"energy \(eV/atom\) +-34\.", text)
    assert re.search(r"force rms \(eV/A\) +\d", text)
    assert re.search(r"pressure \(GPa\) +2\.0000", text)
    refusal("virials is by its name a virial", *given, "virials")


@pytest.mark.parametrize("verb", ["info", "split"])
def test_a_file_that_is_not_read_whole_is_refused(tmp_path, verb):
    source = tmp_path / "data.xyz"
    write(source, read(VAL, ":4"), format="extxyz")
    lines = source.read_text().splitlines()
    source.write_text("\n".join([*lines[:22], "", *lines[22:]]) + "\n")
    out = ("--out", tmp_path / "s") if verb == "split" else ()
    refusal("frame 2: expected the number of atoms in line 23, got a blank line", verb, source,
            *out)  # fmt: skip


def test_split_without_test_part_in_blocks(tmp_path):
    output("split", VAL, "--out", tmp_path, "--train", 0.5, "--val", 0.5, "--test", 0,
           "--method", "blocks")  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "splits.json",
        "train.xyz",
        "val.xyz",
    ]
    assert load_splits(tmp_path / "splits.json", VAL)["train"] == list(range(25))


def test_split_refusals(tmp_path):
    refusal(
        "--val: expected a number of frames or a fraction, got 'some'",
        "split", VAL, "--out", tmp_path, "--val", "some",
    )  # fmt: skip
    refusal(
        "energy: missing; the frame has: ", "split", VAL, "--out", tmp_path, "--energy-key", "e0"
    )
    (tmp_path / "val.xyz").touch()
    refusal("val.xyz: the file exists already", "split", VAL, "--out", tmp_path)


def test_split_refuses_a_source_that_repeats_itself(tmp_path):
    source = tmp_path / "twice.xyz"
    write(source, [*read(VAL, ":"), *read(VAL, ":")], format="extxyz")
    refusal("frames are also training frames", "split", source, "--out", tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_export_copies_the_set(tmp_path):
    output("export", "molecule", "--out", tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for entry in manifest["files"].values():
        assert sha256(tmp_path / entry["file"]) == entry["sha256"]


def test_export_of_an_unknown_set():
    refusal("no embedded data set 'water'", "export", "water", "--out", ".")


@pytest.mark.parametrize("module", ["egraff.cli.data", "egraff.data"])
def test_no_torch_is_imported(module):
    code = f"import {module}, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
