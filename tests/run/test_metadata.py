# SPDX-License-Identifier: GPL-2.0-or-later
import json
import subprocess
import sys
import zipfile

import pytest

from egraff.errors import InputError, ModelFileError
from egraff.metadata import check_elements, read_metadata
from tests.run.conftest import METADATA, write_model


def test_an_exported_model_tells_what_it_is(exported):
    metadata = read_metadata(exported("float32"))

    assert metadata["elements"] == ["Li", "F"]
    assert metadata["dtype"] == "float32"
    assert metadata["check_frame"]["energy"] < 0


def test_reading_does_not_import_torch(tmp_path):
    path = write_model(tmp_path / "m.egraff.pt")
    code = (
        "import sys; from egraff.metadata import read_metadata; "
        f"read_metadata({str(path)!r}); sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def archive(path, **members):
    with zipfile.ZipFile(path, "w") as writer:
        for name, content in members.items():
            writer.writestr("m/" + name.replace("__", "/").replace("_dot_", "."), content)
    return path


def test_missing_file(tmp_path):
    with pytest.raises(ModelFileError, match="no such file\n  fix: check the path"):
        read_metadata(tmp_path / "none.egraff.pt")


def test_directory(tmp_path):
    with pytest.raises(ModelFileError, match="expected a readable file, got: Is a directory"):
        read_metadata(tmp_path)


def test_something_else(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello")

    with pytest.raises(ModelFileError, match=r"notes.txt: expected an exported model \(a zip"):
        read_metadata(path)


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncated_file(exported, tmp_path, kept):
    whole = exported("float64").read_bytes()
    path = tmp_path / "cut.egraff.pt"
    path.write_bytes(whole[: int(kept * len(whole))])

    with pytest.raises(ModelFileError, match="got a truncated or damaged one"):
        read_metadata(path)


def test_archive_of_another_program(tmp_path):
    path = archive(tmp_path / "other.pt", code__model_dot_py="", data_dot_pkl="")

    with pytest.raises(ModelFileError, match=r"not an egraff model: .* holds no egraff.json"):
        read_metadata(path)


def test_checkpoint_is_told_apart(tmp_path):
    path = archive(tmp_path / "best.ckpt", data_dot_pkl="")

    with pytest.raises(ModelFileError, match="training checkpoint\n  fix: egraff export"):
        read_metadata(path)


def test_metadata_that_is_not_json(tmp_path):
    path = archive(tmp_path / "m.pt", extra__egraff_dot_json="{")

    with pytest.raises(ModelFileError, match=r"egraff.json: expected JSON, got: "):
        read_metadata(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contract": 99}, "contract up to 1, got 99: the file is from a newer egraff\n  fix: upd"),
        ({"contract": "one"}, "contract: expected a whole number from 1 to 1, got 'one'"),
        ({"elements": []}, r"elements: expected a list of chemical symbols, got \[\]"),
        ({"r_max": None}, "expected the keys architecture, contract.*; r_max missing"),
    ],
)
def test_metadata_that_cannot_be_right(tmp_path, change, message):
    content = {**METADATA, **change}
    path = write_model(
        tmp_path / "m.pt", {key: value for key, value in content.items() if value is not None}
    )

    with pytest.raises(ModelFileError, match=message):
        read_metadata(path)


def test_metadata_that_is_not_an_object(tmp_path):
    path = archive(tmp_path / "m.pt", extra__egraff_dot_json=json.dumps([1]))

    with pytest.raises(ModelFileError, match="expected a JSON object, got list"):
        read_metadata(path)


def test_elements_come_in_the_order_of_the_model():
    assert check_elements(["O", "H", "H"], ["H", "C", "O"]) == ["H", "O"]


def test_unknown_elements_are_named_with_the_known_ones():
    message = r"s.xyz: elements: expected only .* \(H, C\), got N, O\n  fix: use a model"
    with pytest.raises(InputError, match=message):
        check_elements(["O", "N", "C"], ["H", "C"], where="s.xyz")
