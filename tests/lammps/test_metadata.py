# SPDX-License-Identifier: GPL-2.0-or-later
import subprocess
import sys

import pytest

from egraff.errors import InputError, ModelFileError
from egraff.metadata import check_elements, read_metadata
from tests.lammps.conftest import METADATA
from tests.model_files import made_up, write


def test_an_exported_model_tells_what_it_is(exported):
    metadata = read_metadata(exported("float32"))

    assert metadata["elements"] == ["Li", "F"]
    assert metadata["dtype"] == "float32"
    assert metadata["check_frame"]["energy"] < 0


def test_reading_does_not_import_torch(tmp_path):
    path = made_up(tmp_path / "m.egraff.pt", METADATA)
    code = (
        "import sys; from egraff.metadata import read_metadata; "
        f"read_metadata({str(path)!r}); sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_missing_file(tmp_path):
    with pytest.raises(ModelFileError, match="no such file\n  fix: check the path"):
        read_metadata(tmp_path / "none.egraff.pt")


def test_directory(tmp_path):
    with pytest.raises(ModelFileError, match="expected an exported model, got a directory"):
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
    path = write(tmp_path / "other.pt", {"m/code/model.py": b"", "m/data.pkl": b""})

    with pytest.raises(ModelFileError, match=r"not an egraff model: .* holds no extra/egraff.json"):
        read_metadata(path)


def test_checkpoint_is_told_apart(tmp_path):
    path = write(tmp_path / "best.ckpt", {"m/data.pkl": b""})

    with pytest.raises(ModelFileError, match="training checkpoint\n  fix: egraff export"):
        read_metadata(path)


def test_elements_come_in_the_order_of_the_model():
    assert check_elements(["O", "H", "H"], ["H", "C", "O"]) == ["H", "O"]


def test_unknown_elements_are_named_with_the_known_ones():
    message = r"s.xyz: elements: expected only .* \(H, C\), got N, O\n  fix: use a model"
    with pytest.raises(InputError, match=message):
        check_elements(["O", "N", "C"], ["H", "C"], where="s.xyz")
