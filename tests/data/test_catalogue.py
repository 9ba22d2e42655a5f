# SPDX-License-Identifier: GPL-2.0-or-later
import json
import re
from collections import Counter

import numpy as np
import pytest
from typer.testing import CliRunner

from egraff.cli.data import app
from egraff.data.catalogue import (
    Source,
    catalogue,
    check_files,
    entry,
    file_record,
    repositories,
    resolve,
    split_digest,
    task_split,
    task_splits,
    verified_frames,
)
from egraff.errors import InputError
from tests.data import catalogues


def call(*arguments):
    return CliRunner().invoke(
        app, ["catalogue", *map(str, arguments)], env={"COLUMNS": "250"}, catch_exceptions=True
    )


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    digests = catalogues.install(monkeypatch, tmp_path)
    yield tmp_path / "data", digests
    for function in catalogues.CLEARED:
        function.cache_clear()


def test_ten_sets_of_which_one_is_not_identified():
    status = Counter(one.status for one in catalogue().values())
    assert len(catalogue()) == 10
    assert status["unidentified"] == 1
    assert list(catalogue())[-1] == "unidentified"


@pytest.mark.parametrize("name", [n for n in catalogue() if n != "unidentified"])
def test_every_identified_set_says_what_a_user_must_know(name):
    one = entry(name)
    assert one.formulas
    assert one.atoms
    assert one.published
    assert one.cite
    assert one.defects
    assert one.periodic is not None
    assert set(one.repositories) <= set(repositories())
    assert one.status == "partial" or any(r.digest for r in one.files.values())
    for file, record in one.files.items():
        assert file.endswith(".xyz.gz")
        assert record.sources
        for source in record.sources:
            assert source.repository in one.repositories
        if record.digest:
            assert record.frames


def test_digests_differ_but_for_none():
    digests = [r.digest for one in catalogue().values() for r in one.files.values() if r.digest]
    assert len(set(digests)) == len(digests) == 95


def test_every_kind_of_task_has_splits_and_their_digests_are_right():
    splits = task_splits()
    assert {split.kind for split in splits.values()} == {
        "errors",
        "unseen_temperature",
        "unseen_molecule",
        "unseen_structure",
        "unseen_composition",
    }
    for name, split in splits.items():
        assert split_digest(split) == split.digest, name


@pytest.mark.parametrize("name", list(task_splits()))
def test_no_file_of_a_split_is_in_two_parts(name):
    split = task_split(name)
    tests = [test.file for test in split.tests.values()]
    files = [*split.train, *split.val, *tests]
    assert len(set(files)) == len(files)


def test_left_out_compositions_are_not_among_the_training_data():
    for name, split in task_splits().items():
        if split.kind == "unseen_composition":
            tested = {test.file.split("/")[1] for test in split.tests.values()}
            learnt = {file.split("/")[1] for file in (*split.train, *split.val)}
            assert not tested & learnt, name
            assert len(tested | learnt) == 16
            formulas = dict(text.split() for text in entry("lips20").formulas)
            compositions = [
                {tuple(np.array(counts) / np.gcd.reduce(counts)) for counts in map(_counts, part)}
                for part in ([formulas[one] for one in tested], [formulas[one] for one in learnt])
            ]
            assert not compositions[0] & compositions[1], name


def _counts(formula):
    found = dict(re.findall(r"([A-Z][a-z]?)(\d+)", formula))
    return [int(found.get(symbol, 0)) for symbol in ("Li", "P", "S")]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ("all", [0, 1, 2, 3, 4, 5, 6]),
        ("1:6:2", [1, 3, 5]),
        (":3", [0, 1, 2]),
        ("spread 3", [0, 2, 4]),
        ("not spread 3", [1, 3, 5, 6]),
    ],
)
def test_selections(frames, expected):
    assert Source(repository="a", path="b", frames=frames).select(7).tolist() == expected


def test_a_selection_that_is_none_is_refused():
    with pytest.raises(ValueError, match="expected all, start:stop:step, spread N"):
        Source(repository="a", path="b", frames="first 3")


def test_a_selection_of_more_than_there_is_or_of_nothing_is_refused():
    with pytest.raises(InputError, match=r"a\.xyz: asked for 9 of 7 frames"):
        Source(repository="a", path="a.xyz", frames="spread 9").select(7)
    with pytest.raises(InputError, match="expected at least one frame, got none: '9:' of 7"):
        Source(repository="a", path="a.xyz", frames="9:").select(7)


def test_files_are_recognised_by_their_frames(made_up):
    data, _ = made_up
    hot = data / "water" / "hot.xyz"
    hot.write_text(hot.read_text().replace("-2", "-3"))
    (data / "water" / "val.xyz").unlink()
    catalogues.write_water(data / "water" / "test.xyz", range(8, 11))
    catalogues.write_water(data / "water" / "ice.xyz", range(3))
    found = {check.name: check for check in check_files(entry("water").files, data)}
    states = {name: check.state for name, check in found.items()}
    assert states == {
        "water/train.xyz.gz": "verified",
        "water/val.xyz.gz": "absent",
        "water/test.xyz.gz": "different",
        "water/hot.xyz.gz": "different",
        "water/ice.xyz.gz": "unverifiable",
    }
    assert "expected 4 frames, got 3" in found["water/test.xyz.gz"].note
    assert "expected frames with digest" in found["water/hot.xyz.gz"].note
    assert len(verified_frames("water/train.xyz.gz", data)) == 6


def test_a_file_without_digest_is_not_called_verified(made_up):
    data, _ = made_up
    catalogues.write_water(data / "water" / "ice.xyz", range(3))
    with pytest.raises(InputError, match=r"no digest of water/ice\.xyz\.gz \(never seen\)"):
        verified_frames("water/ice.xyz.gz", data)


def test_a_task_is_resolved_to_files(made_up):
    data, _ = made_up
    found = resolve("water-hot", data)
    assert found.train == [data / "water" / "train.xyz"]
    assert found.val == [data / "water" / "val.xyz"]
    assert found.tests["hot"] == data / "water" / "hot.xyz"
    assert [found.split.shift(test) for test in ("cold", "hot")] == ["none", "temperature"]


def test_references_and_isolated_atoms_are_resolved(monkeypatch, tmp_path):
    split = {
        "kind": "errors",
        "about": "all parts",
        "train": ["water/train.xyz.gz"],
        "without": ["water/test.xyz.gz"],
        "isolated_atoms": "water/val.xyz.gz",
        "tests": {"t": {"file": "water/test.xyz.gz", "reference": "water/hot.xyz.gz"}},
    }
    catalogues.install(monkeypatch, tmp_path, tasks_yaml={"water-all": split})
    found = resolve("water-all", tmp_path / "data")
    for function in catalogues.CLEARED:
        function.cache_clear()
    water = tmp_path / "data" / "water"
    assert found.without == [water / "test.xyz"]
    assert found.isolated_atoms == water / "val.xyz"
    assert found.references == {"t": water / "hot.xyz"}


def test_a_task_without_its_files_says_how_to_get_them(made_up):
    data, _ = made_up
    (data / "water" / "hot.xyz").unlink()
    expected = r"a file water/hot.xyz.gz, found none\n  fix: egraff data import COPY --as egraff"
    with pytest.raises(InputError, match=expected):
        resolve("water-hot", data)
    with pytest.raises(InputError, match=expected):
        resolve("water-hot", data, verify=False)


def test_a_task_with_other_frames_is_refused(made_up):
    data, _ = made_up
    catalogues.write_water(data / "water" / "hot.xyz", range(30, 33))
    resolve("water-hot", data, verify=False)
    with pytest.raises(InputError, match="not what the catalogue describes: expected frames with"):
        resolve("water-hot", data)


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (lambda: entry("3bba"), "has no set '3bba'\n  fix: choose 3bpa"),
        (lambda: file_record("acac/tran.xyz.gz"), "has no file .*\n  fix: choose acac/train"),
        (lambda: task_split("x"), "has no task 'x'\n  fix: see egraff data catalogue"),
    ],
)
def test_unknown_names_are_refused(look, expected):
    with pytest.raises(InputError, match=expected):
        look()


def test_command_lists_all_sets_and_splits():
    result = call()
    assert result.exit_code == 0, result.output
    for name in (*catalogue(), *task_splits()):
        assert name in result.output


def test_command_describes_one_set():
    text = call("gete").output
    assert "Car-Parrinello" in text
    assert "outliers" in text
    assert "not at hand    the training file of the benchmark" in text
    assert "validate on the test" not in text
    assert "same 650 frames" in call("acac").output
    assert "everything" in call("unidentified").output


def test_command_shows_the_parts_of_a_task(made_up):
    data, _ = made_up
    text = call("water-hot", "--data", data).output
    assert "train: water/train.xyz.gz verified" in text
    assert "test hot (shift: temperature, 600 K): water/hot.xyz.gz verified" in text
    assert task_split("water-hot").digest in text
    catalogues.write_water(data / "water" / "hot.xyz", range(30, 33))
    result = call("water-hot", "--json", "--data", data)
    assert json.loads(result.output)["water-hot"]["states"]["water/hot.xyz.gz"] == "different"
    assert isinstance(result.exception, InputError)


def test_command_shows_what_is_left_out_of_a_task():
    text = call("lips20-unseen-Li7PS6").output
    assert "structure of Li7PS6: lips20/Li7PS6/ref_traj.xyz.gz" in text
    assert "train: lips20/Li/train.xyz.gz" in text
    assert "Li7PS6/train" not in text


def test_command_gives_json(made_up):
    data, digests = made_up
    content = json.loads(call("--json", "--data", data).output)
    files = content["sets"]["water"]["files"]
    assert files["water/train.xyz.gz"]["digest"] == digests["train"]
    assert files["water/train.xyz.gz"]["state"] == "verified"
    assert files["water/ice.xyz.gz"]["state"] == "absent"
    assert content["tasks"]["water-hot"]["kind"] == "unseen_temperature"


def test_command_shows_what_a_folder_holds_and_refuses_what_differs(made_up):
    data, _ = made_up
    assert "4 verified, 1 absent" in call("--data", data).output
    assert "verified" in call("water", "--data", data).output
    catalogues.write_water(data / "water" / "hot.xyz", range(30, 33))
    result = call("--data", data)
    assert "3 verified, 1 different, 1 absent" in result.output
    assert isinstance(result.exception, InputError)
    expected = "1 of the files are not what the catalogue describes, the first is water/hot.xyz.gz"
    assert expected in str(result.exception)


def test_command_refuses_a_folder_that_is_not_there(tmp_path):
    result = call("--data", tmp_path / "none")
    assert "expected a folder with data, found none" in str(result.exception)
