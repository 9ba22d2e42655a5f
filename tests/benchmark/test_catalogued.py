# SPDX-License-Identifier: GPL-2.0-or-later
"""Plans whose sets name a split of the catalogue."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from egraff.benchmark.checks import check_plan
from egraff.benchmark.jobs import jobs_of
from egraff.benchmark.plan import read_plan
from egraff.errors import InputError
from tests.benchmark.campaigns import plan, write_plan
from tests.data import catalogues


@pytest.fixture
def folder(monkeypatch, tmp_path):
    catalogues.install(monkeypatch, tmp_path)
    yield tmp_path
    for function in catalogues.CLEARED:
        function.cache_clear()


def content(**changes) -> dict:
    """Return a plan of one set of the made-up catalogue."""
    water = {"catalogue": "water-hot", **changes}
    return {**plan(), "tasks": ["errors"], "sets": {"water": water}}


def refusal(folder, **changes) -> tuple[str, str]:
    """Return the message of a plan, and the line of the file that it names."""
    path = write_plan(folder / "plan.yaml", content(**changes))
    with pytest.raises(InputError) as caught:
        check_plan(read_plan(path))
    found = re.search(r"plan\.yaml, line (\d+)", str(caught.value))
    assert found, caught.value
    return str(caught.value), path.read_text().splitlines()[int(found[1]) - 1].strip()


def test_a_split_gives_files_shifts_and_temperatures(folder):
    simulate = {"hot": {"simulate": {"timestep_fs": 0.5}}}
    path = write_plan(folder / "plan.yaml", content(train={"frames": 5}, tests=simulate))
    file = read_plan(path)
    water = file.plan.sets["water"]
    # compressed or not, as they are in the folder
    assert water.train.files == [Path("water/train.xyz")]
    assert water.train.frames == 5
    assert water.val.files == [Path("water/val.xyz")]
    assert {name: test.shift for name, test in water.tests.items()} == {
        "cold": "none",
        "hot": "temperature",
    }
    assert water.tests["hot"].simulate.temperature == 600
    assert water.tests["hot"].simulate.timestep_fs == 0.5
    assert water.tests["cold"].simulate is None
    facts = check_plan(file)
    assert facts.sets["water"].train == 5
    assert {job.kind for job in jobs_of(file, facts)} >= {"train", "eval"}


def test_frames_of_the_tests_are_left_out_of_the_training(monkeypatch, tmp_path):
    split = {
        "kind": "errors",
        "about": "with leaks",
        "train": ["water/train.xyz.gz"],
        "without": ["water/test.xyz.gz"],
        "tests": {"t": {"file": "water/test.xyz.gz"}},
    }
    catalogues.install(monkeypatch, tmp_path, tasks_yaml={"water-hot": split})
    water = read_plan(write_plan(tmp_path / "plan.yaml", content())).plan.sets["water"]
    assert water.train.without == [Path("water/test.xyz")]
    assert water.val is None
    message, line = refusal(tmp_path, val={"frames": 3})
    assert "the split water-hot has no validation files" in message
    assert line == "val:"
    for function in catalogues.CLEARED:
        function.cache_clear()


@pytest.mark.parametrize(
    ("changes", "message", "line"),
    [
        (
            {"catalogue": "water-hott"},
            r"sets.water.catalogue: the catalogue has no task .*\n  fix: choose water-hot",
            "catalogue: water-hott",
        ),
        (
            {"train": "water/hot.xyz"},
            r"sets.water.train: expected `frames` alone, .*, got 'water/hot.xyz'",
            "train: water/hot.xyz",
        ),
        (
            {"isolated_atoms": "x.xyz"},
            r"sets.water.isolated_atoms: expected",
            "isolated_atoms: x.xyz",
        ),
        (
            {"tests": {"hot": {"data": "x.xyz"}}},
            r"sets.water.tests.hot: expected `simulate` alone",
            "hot:",
        ),
        (
            {"tests": {"300K": {}}},
            r"sets.water.tests.300K: the split water-hot has no such test\n  fix: .* of cold, hot",
            "300K: {}",
        ),
        (
            {"tests": ["hot"]},
            r"sets.water.tests: expected tests by name, got \['hot'\]",
            "tests:",
        ),
        (
            {"tests": {"hot": {"simulate": {"temprature": 3}}}},
            r"tests.hot.simulate.temprature: unknown key\n  fix: did you mean temperature\?",
            "temprature: 3",
        ),
    ],
)
def test_plans_that_say_otherwise_are_refused_with_their_line(folder, changes, message, line):
    told, where = refusal(folder, **changes)
    assert re.search(message, told), told
    assert where == line


def test_files_that_are_missing_or_others_are_refused_with_their_line(folder):
    catalogues.write_water(folder / "data" / "water" / "hot.xyz", range(50, 53))
    told, where = refusal(folder)
    assert "hot.xyz: not what the catalogue describes: expected frames with digest" in told
    assert where == "catalogue: water-hot"
    (folder / "data" / "water" / "hot.xyz").unlink()
    told, where = refusal(folder)
    assert "expected a file water/hot.xyz.gz, found none\n  fix: egraff data import COPY" in told
    assert where == "catalogue: water-hot"
