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
        (b"lr: 1\nepochs: 2\nlr: 3\n", r"expected YAML, got: lr is given twice, in lines 1 and 3"),
        (b"a:\n  b: 1\n  b: 1\n", r"expected YAML, got: b is given twice, in lines 2 and 3"),
        (b"- a\n- b\n", r"`name: value` lines, got list\n  fix: .*, for example `epochs: 100`"),
    ],
)
def test_files_that_are_no_settings(tmp_path, content, message):
    path = tmp_path / "c.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_settings(path, example=EXAMPLE)


def test_the_same_name_in_two_places_and_merged_ones(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("one: &a {x: 1, y: 2}\ntwo: {<<: *a, x: 3}\n")
    assert read_settings(path, example=EXAMPLE) == {
        "one": {"x": 1, "y": 2},
        "two": {"x": 3, "y": 2},
    }


def test_a_byte_order_mark_and_line_ends_of_windows(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbflr: 0.5\r\nepochs: 3\r\n")
    assert read_settings(path, example=EXAMPLE) == {"lr": 0.5, "epochs": 3}
