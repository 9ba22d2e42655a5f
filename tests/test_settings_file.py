# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading files of settings, and refusing what is none."""

import pytest

from egraff.errors import InputError
from egraff.settings_file import read_settings

EXAMPLE = "epochs: 100"


def test_settings(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("ensemble: npt\nreplicate: [2, 1, 1]\n")
    assert read_settings(path, example=EXAMPLE) == {"ensemble": "npt", "replicate": [2, 1, 1]}


def test_an_empty_file_has_no_settings(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("# nothing\n")
    assert read_settings(path, example=EXAMPLE) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"c.yaml: expected a YAML file, got: No such file or directory\n  fix: check --con"),
        (b"a: [1", r"c.yaml: expected YAML, got: while parsing"),
        (b"\xff\xfe", r"c.yaml: expected YAML, got: 'utf-8' codec can't decode"),
        (b"- a\n- b\n", r"`name: value` lines, got list\n  fix: .*, for example `epochs: 100`"),
    ],
)
def test_files_that_are_no_settings(tmp_path, content, message):
    path = tmp_path / "c.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_settings(path, example=EXAMPLE)
