# SPDX-License-Identifier: GPL-2.0-or-later
"""The link through which LAMMPS finds a model under any path."""

import errno
import os
import shutil
from pathlib import Path

import ase.io
import pytest

from egraff.errors import InputError, OutputError
from egraff.lammps.model_link import MODEL_FILE, link_model
from egraff.lammps.run import run_md
from egraff.lammps.run_settings import make_settings
from egraff.lammps.single_point import single_point
from tests.lammps.conftest import log_rows
from tests.lammps.salts import salt

AWKWARD = (
    "m\u00f6del",
    "two words",
    """ 'single' and "double" """,
    "$HOME ${x} #1 &",
    "a@1",
    "\u539f\u5b50/" * 120 + "long",
)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "a.egraff.pt"
    path.write_bytes(b"weights")
    return path


def test_a_link_replaces_an_older_link(model, tmp_path):
    (tmp_path / MODEL_FILE).symlink_to("gone")
    assert link_model(model, tmp_path) == MODEL_FILE
    assert (tmp_path / MODEL_FILE).resolve() == model
    assert MODEL_FILE.isascii()


def test_a_model_of_that_name_in_the_directory_is_used_as_it_is(model, tmp_path):
    shutil.move(model, tmp_path / MODEL_FILE)
    assert link_model(tmp_path / MODEL_FILE, tmp_path) == MODEL_FILE
    assert (tmp_path / MODEL_FILE).read_bytes() == b"weights"


def test_another_file_of_that_name_is_left_alone(model, tmp_path):
    (tmp_path / MODEL_FILE).write_bytes(b"other weights")
    with pytest.raises(InputError, match=r"expected a free name for a link to .*a\.egraff\.pt"):
        link_model(model, tmp_path)
    assert (tmp_path / MODEL_FILE).read_bytes() == b"other weights"


def refuse_links(monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "symlink_to", refuse)


def test_a_file_system_without_links_gets_a_copy(model, tmp_path, monkeypatch):
    refuse_links(monkeypatch, errno.EPERM)
    for _ in range(2):  # a resumed run finds its copy
        link_model(model, tmp_path)
        assert (tmp_path / MODEL_FILE).read_bytes() == b"weights"


def test_a_full_disk_is_told(model, tmp_path, monkeypatch):
    refuse_links(monkeypatch, errno.ENOSPC)
    with pytest.raises(OutputError, match=rf"{MODEL_FILE}: expected room for it, got: No space"):
        link_model(model, tmp_path)


@pytest.mark.parametrize("name", AWKWARD, ids=range(len(AWKWARD)))
def test_any_path_can_be_run(exported, tmp_path, name):
    """LAMMPS's parser knows ASCII only, and `$`, `#`, `&` and quotes mean something to it."""
    folder = tmp_path / name
    folder.mkdir(parents=True)
    model = folder / (folder.name + ".pt")
    shutil.copyfile(exported("float32"), model)
    structure = folder / (folder.name + ".xyz")
    ase.io.write(structure, salt(), format="extxyz")
    settings = make_settings(
        {"model": model, "structure": structure, "steps": 2, "thermo_every": 1, "device": "cpu"}
    )
    run_md(settings, folder / "run")

    rows = log_rows(folder / "run" / "log.lammps")
    assert [row["Step"] for row in rows] == [0, 1, 2]
    assert rows[0]["PotEng"] == pytest.approx(single_point(model, salt()).energy, rel=1e-6)
