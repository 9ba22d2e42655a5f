# SPDX-License-Identifier: GPL-2.0-or-later
"""Files are complete or absent; errors say where, what and how to mend it."""

import errno
import json
import os
import subprocess
import sys

import pytest

from egraff import files
from egraff.errors import InputError, OutputError
from egraff.files import atomic_path, check_writable, make_folder, sha256, write_json


def test_the_target_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "sub" / "model.egraff.pt"
    with atomic_path(target) as partial:
        partial.write_text("new")
        assert not target.exists()
        assert partial.name.endswith(".egraff.pt")
    assert target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_failure_leaves_the_old_file(tmp_path):
    target = tmp_path / "result.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["result.txt"]


def test_files_are_as_readable_as_any_other(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("")
    with atomic_path(tmp_path / "ours") as partial:
        partial.write_text("")
    assert (tmp_path / "ours").stat().st_mode == plain.stat().st_mode


def test_json_refuses_what_is_not_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    assert not (tmp_path / "a.json").exists()
    write_json(tmp_path / "a.json", {"value": 1.5})
    assert json.loads((tmp_path / "a.json").read_text()) == {"value": 1.5}


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "abc").write_text("abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_message_has_place_problem_and_fix():
    error = InputError("expected 3, got 4", where="in.xyz", field="frame 2", fix="remove one")
    assert str(error) == "in.xyz: frame 2: expected 3, got 4\n  fix: remove one"
    assert str(InputError("only this")) == "only this"


def no_room():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_file_and_is_told_with_the_path(tmp_path):
    target = tmp_path / "result.json"
    target.write_text("old")
    with (
        pytest.raises(OutputError, match=r"result\.json: expected room for it, got: No space left"),
        atomic_path(target) as partial,
    ):
        partial.write_text("half")
        no_room()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_library_that_fails_on_a_full_disk_is_told_as_one(tmp_path, monkeypatch):
    def write():
        with atomic_path(tmp_path / "model.pt") as partial:
            partial.write_text("half")
            raise RuntimeError("PytorchStreamWriter failed writing file")

    with pytest.raises(RuntimeError, match="PytorchStreamWriter"):
        write()
    monkeypatch.setattr(files, "_is_full", lambda folder: folder == tmp_path)
    with pytest.raises(OutputError, match=r"model\.pt: expected room for it, got: No space left"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_is_not_the_fault_of_the_output(tmp_path):
    with (
        pytest.raises(PermissionError, match="elsewhere"),
        atomic_path(tmp_path / "out.txt"),
    ):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/model.pt")


def test_a_copy_that_fails_names_where_it_should_have_gone(tmp_path):
    target = tmp_path / "out.txt"
    with (
        pytest.raises(OutputError, match=r"out\.txt: expected room"),
        atomic_path(target) as partial,
    ):
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/x", None, str(partial))


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "a").write_text("")
    for refused in (check_writable, make_folder, lambda path: write_json(path, 1)):
        with pytest.raises(OutputError, match=r"expected a folder to write into, got: "):
            refused(tmp_path / "a" / "b" / "c.json")
    with pytest.raises(OutputError, match=r"expected a file or a free name, got: a folder of that"):
        write_json(tmp_path, 1)


def test_a_read_only_folder_is_found_before_the_work(tmp_path, monkeypatch):
    check_writable(tmp_path / "new" / "folder" / "a.json")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    message = rf"a\.json: expected a folder that may be written to, got: Perm.* \({tmp_path}\)"
    with pytest.raises(OutputError, match=message):
        check_writable(tmp_path / "new" / "folder" / "a.json")


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    """Of the same target only, and not while their process lives."""
    code = (
        "import os, sys; from egraff.files import atomic_path\n"
        "open = [atomic_path(os.path.join(sys.argv[1], name)) for name in ('a.json', 'b.json')]\n"
        "[one.__enter__() for one in open]\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False, timeout=60)
    left = set(tmp_path.iterdir())
    assert len(left) == 2
    with atomic_path(tmp_path / "a.json"), atomic_path(tmp_path / "a.json"):
        own = set(tmp_path.iterdir()) - left
        assert len(own) == 2  # the first of the two lives on
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2
    assert names[0].startswith(".part-")
    assert names[1] == "a.json"


def test_names_as_long_as_the_file_system_allows(tmp_path):
    target = tmp_path / ("1." + "x" * 248 + ".json")
    write_json(target, 1)
    assert target.read_text() == "1\n"
    with pytest.raises(OutputError, match=r"expected a name that the file system accepts"):
        write_json(tmp_path / ("x" * 300), 1)
