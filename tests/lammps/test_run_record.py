# SPDX-License-Identifier: GPL-2.0-or-later
"""``run.json`` as a value: what is written is what is read, also from older versions."""

import json
import re

import numpy as np
import pytest

from egraff.errors import InputError
from egraff.lammps.guard_stop import GuardStop
from egraff.lammps.guards import Guards
from egraff.lammps.inputs_ensemble import System
from egraff.lammps.run_record import RunRecord, new_record, read_record, save_record

SYSTEM = System(
    n_atoms=108, elements=("Ar",), pbc=(True,) * 3, triclinic=False, rigid_dof=3, rotates=False
)


@pytest.fixture
def record(settings):
    """Return the record of a run of two segments."""
    record = new_record(
        settings(ensemble="npt", pressure_bar=7.0),
        SYSTEM,
        metadata={"architecture": "made up", "r_max": 6.0, "licence": "none"},
        rotation=np.eye(3),
        warnings=["something"],
        guards=Guards({"Ar-Ar": 1.3}, None, 120.0, {"max_temperature": "given"}, ("a remark",)),
    )
    for steps, seconds in ((60, 2.0), (40, 1.0)):
        segment = record.start_segment(stage="production", step=record.steps_done)
        segment.production_steps, segment.production_s = steps, seconds
        segment.wall_time_s = seconds + 0.5
        segment.to_step = record.steps_done = record.steps_done + steps
    record.stopped_by = GuardStop("temperature", "production", 100, (3, 7), "121 K, limit 120 K")
    return record


def test_what_is_written_is_what_is_read(record, tmp_path):
    save_record(tmp_path, record)

    assert read_record(tmp_path) == record
    assert json.loads((tmp_path / "run.json").read_text()) == record.as_dict()


def test_readers_find_settings_and_totals_under_names_with_units(record):
    content = record.as_dict()

    assert (content["temperature_K"], content["pressure_bar"]) == (40.0, 7.0)
    assert (content["steps"], content["n_atoms"], content["elements"]) == (100, 108, ["Ar"])
    assert content["wall_time_s"] == 4.0
    # 100 steps of 4 fs in 3 s
    assert content["ns_per_day"] == pytest.approx(100 * 4e-6 / 3.0 * 86400.0)
    assert content["model_metadata"]["architecture"] == "made up"
    assert "licence" not in content["model_metadata"]


def test_nothing_is_fast_before_it_was_measured(settings):
    record = new_record(settings(), SYSTEM, metadata={}, rotation=np.eye(3), warnings=[])

    assert record.ns_per_day is None
    assert record.wall_time_s == 0.0


def test_record_of_an_older_version(record):
    """Without what was added since, with what is no longer kept."""
    content = record.as_dict()
    for name in ("warnings", "rotation", "versions", "model_metadata", "guards", "stopped_by"):
        del content[name]
    del content["settings"]["elements"]
    del content["segments"][0]["production_s"]
    content["system"]["colour"] = content["segments"][0]["colour"] = content["colour"] = "red"
    old = RunRecord.from_dict(content)

    assert (old.settings, old.system, old.steps_done) == (record.settings, SYSTEM, 100)
    assert (old.warnings, old.guards, old.stopped_by) == ([], None, None)
    assert old.segments[0].production_s == 0.0
    assert old.segments[1] == record.segments[1]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("settings",), "settings: expected the record of `egraff run`, which has settings, got n"),
        (("system",), "system: expected the record of `egraff run`, which has system, got none"),
        (("segments",), "segments: expected the record of `egraff run`, which has segments, got "),
        (("model_sha256",), "model_sha256: expected a value, got none"),
        (("system", "n_atoms"), "system.n_atoms: expected a value, got none\n  fix: choose anoth"),
        (("segments", 1, "stage"), "segments[1].stage: expected a value, got none"),
        (("settings", "model"), "--model: expected a value, got none"),
    ],
)
def test_a_record_without_what_it_needs(record, tmp_path, path, message):
    content = record.as_dict()
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    with pytest.raises(InputError, match=re.escape(message)):
        RunRecord.from_dict(content, where=tmp_path / "run.json")


def test_a_setting_of_a_newer_version(record, tmp_path):
    content = record.as_dict()
    content["settings"]["colour"] = "red"
    with pytest.raises(InputError, match=r"run.json: expected the name of a setting, got 'colour'"):
        RunRecord.from_dict(content, where=tmp_path / "run.json")
