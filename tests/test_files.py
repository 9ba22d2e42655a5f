# SPDX-License-Identifier: GPL-2.0-or-later
"""Files are complete or absent; errors say where, what and how to mend it."""

import json

import pytest

from egraff.errors import InputError
from egraff.files import atomic_path, sha256, write_json


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
