# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs whose frames another method labelled: the errors along the run's own trajectory."""

import json

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from egraff.analysis.runs import read_run
from tests.analysis.rollouts import CELL, ENERGIES, FORCES, labelled, rollout
from tests.analysis.runs import analyse_run, make_run, result_of


def analysed(tmp_path, labels, **options):
    run = rollout(tmp_path / "run", **options)
    analyse_run(read_run(run), labels=labels)
    return result_of(run)


@pytest.mark.parametrize(
    ("chosen", "steps"), [(range(6), False), (range(6), True), ([4, 1, 2], True)]
)
def test_known_errors_along_a_rollout(tmp_path, chosen, steps):
    labels = labelled(tmp_path / "labels.xyz", chosen=chosen, steps=steps)
    content, metrics = analysed(tmp_path, labels)
    # |F - F / 2| / (|F| + |F / 2|) = 1 / 3
    assert metrics["rollout_fv"].value == pytest.approx(1 / 3, rel=1e-6)
    e, e_ref = ENERGIES[list(chosen)], ENERGIES[list(chosen)] + 0.4
    ev = (e - e_ref) ** 2 / (e**2 + e_ref**2)
    assert metrics["rollout_ev"].value == pytest.approx(np.exp(np.log(ev).mean()), rel=1e-5)
    assert metrics["rollout_ev_offset_free"].value == pytest.approx(0.0, abs=1e-9)
    # 0.4 eV over 4 atoms
    assert metrics["rollout_energy_mae"].value == pytest.approx(100.0, rel=1e-6)
    assert metrics["rollout_energy_mae"].unit == "meV/atom"
    half = 500.0 * np.abs(FORCES[list(chosen)]).mean()
    assert metrics["rollout_force_mae"].value == pytest.approx(half, rel=1e-5)
    assert metrics["rollout_force_mae"].unit == "meV/A"
    assert "labels.xyz" in metrics["rollout_fv"].provenance
    with np.load(tmp_path / "run" / "analysis" / "curves.npz") as curves:
        np.testing.assert_allclose(curves["rollout/time"], [0.02 * i for i in chosen])
        np.testing.assert_allclose(curves["rollout/fv"], 1 / 3, rtol=1e-6)
    assert not [problem for problem in content["problems"] if problem.startswith("labels")]


def test_labels_in_another_orientation(tmp_path):
    def turn(frames):
        for frame in frames:
            forces = frame.calc.results["forces"]
            quarter = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
            frame.calc.results["forces"] = forces @ quarter
            frame.set_cell(np.array(frame.cell) @ quarter)
            frame.positions = frame.positions @ quarter
            frame.calc.atoms = frame.copy()

    _, metrics = analysed(tmp_path, labelled(tmp_path / "l.xyz", change=turn))
    assert metrics["rollout_fv"].value == pytest.approx(1 / 3, rel=1e-6)


def test_energies_that_were_not_logged(tmp_path):
    content, metrics = analysed(tmp_path, labelled(tmp_path / "l.xyz"), logged=2)
    assert metrics["rollout_fv"].value == pytest.approx(1 / 3, rel=1e-6)
    assert "rollout_ev" not in metrics
    assert any(
        "no potential energy of 4 labelled steps, the first is 20" in problem
        for problem in content["problems"]
    )


def _moved(frames):
    frames[3].positions[1] += [0.0, 0.1, 0.0]
    frames[3].calc.atoms = frames[3].copy()


def _stretched(frames):
    frames[0].set_cell(CELL * 1.01)
    frames[0].calc.atoms = frames[0].copy()


def _unknown_step(frames):
    frames[2].info["step"] = 25


def _no_forces(frames):
    del frames[1].calc.results["forces"]


def _other_system(frames):
    frames[:] = [molecule("H2O") for _ in frames]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"change": _moved}, "frame 3: expected the positions of step 30 within 0.002 A, got a di"),
        ({"change": _stretched}, "frame 0: expected the cell of the dumped frame within 0.002 A"),
        (
            {"chosen": range(4)},
            "expected one label for each of the 6 dumped frames, got 4; write the LAMMPS step",
        ),
        (
            {"change": _unknown_step, "steps": True},
            "frame 2: step: expected a dumped step from 0 to 50, got 25",
        ),
        ({"change": _no_forces}, "frame 1: expected forces as a label, got energy"),
        ({"change": _other_system}, "expected the 4 atoms of the dump in order of id, got H2O"),
    ],
)
def test_labels_that_do_not_belong(tmp_path, options, message):
    if options.get("change") is _other_system:
        options = {**options, "change": lambda frames: _with_labels(frames)}
    content, metrics = analysed(tmp_path, labelled(tmp_path / "l.xyz", **options))
    assert "rollout_fv" not in metrics
    problems = [problem for problem in content["problems"] if problem.startswith("labels")]
    assert problems, content["problems"]
    for part in message.split("; "):
        assert part in problems[0]


def _with_labels(frames):
    _other_system(frames)
    for frame in frames:
        frame.calc = SinglePointCalculator(frame, energy=0.0, forces=np.zeros((3, 3)))


def test_labels_belong_to_one_run(tmp_path):
    from egraff.cli import app

    labelled(tmp_path / "l.xyz")
    rollout(tmp_path / "runs" / "one")
    arguments = ["--labels", str(tmp_path / "l.xyz"), "--no-model-checks"]
    done = CliRunner().invoke(app, ["analyse", str(tmp_path / "runs"), *arguments])
    assert done.exit_code == 0, done.output
    _, metrics = result_of(tmp_path / "runs" / "one")
    assert metrics["rollout_fv"].value == pytest.approx(1 / 3, rel=1e-6)
    make_run(tmp_path / "runs" / "two")
    failed = CliRunner().invoke(app, ["analyse", str(tmp_path / "runs"), *arguments])
    assert failed.exit_code != 0
    said = failed.output + str(failed.exception)
    assert "expected one run to which the labels belong, got 2" in said


def test_forces_that_a_thermostat_added_to_are_not_the_models(tmp_path):
    labels = labelled(tmp_path / "labels.xyz")
    run = rollout(tmp_path / "run")
    record = json.loads((run / "run.json").read_text())
    settings = {"thermostat": "langevin"}
    (run / "run.json").write_text(json.dumps({**record, "ensemble": "nvt", "settings": settings}))
    analyse_run(read_run(run), labels=labels)
    content, metrics = result_of(run)
    assert any(
        "expected forces of the model alone, got forces that include fix langevin\n"
        "  fix: dump forces without that fix" in problem
        for problem in content["problems"]
    )
    assert "rollout_fv" not in metrics
