# SPDX-License-Identifier: GPL-2.0-or-later
"""Verdicts on a corpus of runs, each with a fault that a referee would find, or none.

An argon-neon crystal in real LAMMPS, Lennard-Jones. The reference is another run of the same, with
labels from the same potential, so the model that is replayed is exact unless a case spoils it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from egraff.analysis.parameters import Parameters
from egraff.analysis.pipeline import verdict_of_log
from egraff.analysis.reference import read_reference
from egraff.analysis.runs import read_run
from egraff.analysis.trajectory.reader import open_universe
from egraff.analysis.verdict.rules import read_rules
from egraff.cli import app
from egraff.errors import InputError
from tests.analysis.crystal import ELEMENTS, NVE, NVT, simulate
from tests.analysis.runs import analyse_run, result_of, run_of
from tests.analysis.systems import TwoSizes, autoregressive


def with_record(run, **changes):
    """The same run with other entries in its record."""
    path = run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return run


def labelled(directory):
    """The frames of a run with the labels of the potential."""
    universe = open_universe(directory / "dump.lammpstrj", elements=ELEMENTS, timestep_fs=4.0)
    frames = []
    for ts in universe.trajectory[::2]:
        atoms = ase.Atoms(
            universe.atoms.elements,
            positions=ts.data["positions"],
            cell=ts.data["cell"],
            pbc=True,
            calculator=TwoSizes(),
        )
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Frames of a run like the sound one; tests may write them with other labels."""
    return labelled(simulate(tmp_path_factory.mktemp("reference") / "run", seed=5))


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A sound run, to be copied."""
    return simulate(tmp_path_factory.mktemp("calm") / "run")


@pytest.fixture
def sound(calm, tmp_path):
    """A sound run of one's own."""
    return Path(shutil.copytree(calm, tmp_path / "run"))


@pytest.fixture
def verdict(tmp_path, reference):
    """Return a function from a run to the verdict's word and its reasons, by metric."""

    def judged(run, *, change=None, calculator=TwoSizes, rules=None):
        frames = [frame.copy() for frame in reference]
        for frame, original in zip(frames, reference, strict=True):
            labels = {name: original.calc.results[name] for name in ("energy", "forces")}
            frame.calc = SinglePointCalculator(frame, **(change(labels) if change else labels))
        path = tmp_path / "reference.xyz"
        ase.io.write(path, frames)
        analyse_run(
            read_run(run),
            reference=read_reference(path),
            load_calculator=lambda _path: calculator(),
            parameters=Parameters(rules=rules or read_rules()),
        )
        content, _ = result_of(run)
        found = content["verdict"]
        weights = [(r["level"] != "unsound", -r["weight"]) for r in found["reasons"]]
        assert weights == sorted(weights)
        return found["word"], {r["metric"]: r for r in found["reasons"]}

    return judged


def test_sound_nvt(sound, verdict):
    assert verdict(sound) == ("sound", {})


def test_sound_nve(tmp_path, verdict):
    assert verdict(
        simulate(tmp_path / "run", production=NVE, timestep=0.002, every=120, steps=12000)
    ) == ("sound", {})


def test_slow_drift(tmp_path, verdict):
    run = simulate(tmp_path / "run", production=NVE, timestep=0.002)
    heated = []
    rows = False
    for line in (run / "log.lammps").read_text().splitlines():
        words = line.split()
        if rows and len(words) == 7 and words[0].isdigit():
            # 0.4 meV per atom and ps, which 108 atoms take up
            words[4] = f"{float(words[4]) + 108 * 0.4e-3 * int(words[0]) * 0.002:.10g}"
            line = " ".join(words)
        rows = rows or words[:1] == ["Step"]
        heated.append(line)
    (run / "log.lammps").write_text("\n".join(heated) + "\n")
    word, reasons = verdict(run)
    assert word == "look"
    assert reasons["nve_drift"]["value"] == pytest.approx(0.4, rel=0.2)
    assert "the total energy drifts by 0.4" in reasons["nve_drift"]["text"]


def test_wrong_thermostat(tmp_path, verdict):
    """Two thermostats that fight: half of the atoms are kept at 70 K."""
    production = f"{NVT}\ngroup half id <= 54\nfix other half langevin 70 70 0.1 5"
    word, reasons = verdict(simulate(tmp_path / "run", production=production))
    assert word == "unsound"
    assert reasons["temperature_deviation"]["value"] > 10.0
    assert (
        "the mean temperature is off the thermostat's by"
        in reasons["temperature_deviation"]["text"]
    )


def test_the_log_alone_tells_what_is_in_it(tmp_path, sound):
    """At the end of `egraff run` the trajectory is not read, and need not be there."""
    (sound / "dump.lammpstrj").unlink()
    verdict, problems = verdict_of_log(read_run(sound))
    assert (verdict.word, problems) == ("sound", [])
    assert not (sound / "analysis").exists()
    hot, _ = verdict_of_log(read_run(with_record(sound, temperature_K=60.0)))
    assert hot.word != "sound"
    assert hot.reasons[0].metric == "temperature_deviation", hot
    (sound / "log.lammps").write_text("nothing of LAMMPS\n")
    _, problems = verdict_of_log(read_run(sound))
    assert problems, "what cannot be computed is told"


def test_melted(tmp_path, verdict):
    """It was melted before it was cooled to the right temperature."""
    run = simulate(tmp_path / "run", start=400, equilibration=8000)
    word, reasons = verdict(run)
    assert word == "unsound"
    assert any(name.startswith("wasserstein") for name in reasons)
    assert "temperature_deviation" not in reasons


def test_exploded(tmp_path, verdict):
    run = simulate(tmp_path / "run", production=NVE, timestep=0.06, every=10)
    word, reasons = verdict(run)
    assert word == "unsound"
    assert {"temperature", "minimum-distance", "not-finite", "lost-atoms"} & set(reasons)


def test_wrong_time_step(tmp_path, verdict):
    """Too long, but not so long that the run breaks."""
    word, reasons = verdict(simulate(tmp_path / "run", production=NVE, timestep=0.054, every=10))
    assert word in ("look", "unsound")
    assert {"nve_fluctuation", "nve_drift"} & set(reasons)


def test_too_short(tmp_path, verdict):
    word, reasons = verdict(simulate(tmp_path / "run", steps=60, every=10))
    assert word == "not enough data"
    assert "temperature" in reasons


def test_wrong_units(sound, verdict):
    """Labels in kcal/mol."""
    word, reasons = verdict(
        sound,
        change=lambda labels: {name: 23.060549 * value for name, value in labels.items()},
    )
    assert word == "unsound"
    assert reasons["replay_fv"]["value"] == pytest.approx(22.060549 / 24.060549, rel=1e-3)


def test_mixed_up_elements(sound, verdict):
    """A model that takes argon for neon and neon for argon."""

    class Swapped(TwoSizes):
        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            swapped = atoms.copy()
            swapped.symbols = np.where(atoms.symbols == "Ar", "Ne", "Ar")
            super().calculate(swapped, properties, system_changes)

    word, reasons = verdict(sound, calculator=Swapped)
    assert word == "unsound"
    assert "forces along the reference disagree" in reasons["replay_fv"]["text"]


def test_shifted_reference(sound, verdict):
    """Other isolated-atom energies: a constant, which no force knows of."""

    def shifted(labels):
        return {**labels, "energy": labels["energy"] + 108 * 0.5}

    word, reasons = verdict(sound, change=shifted)
    assert word == "look"
    assert list(reasons) == ["replay_energy_offset"]


@pytest.mark.parametrize(("deviation", "word"), [(0.05, "sound"), (0.25, "look"), (0.6, "unsound")])
def test_committee_disagreement(sound, verdict, deviation, word):
    run = with_record(sound, deviations="egraff_deviation.txt")
    noise = 0.01 * autoregressive(600, 0.5, seed=2)[:, 0]
    lines = [f"{10 * i} {deviation + x:.6g} 0.01 0.02" for i, x in enumerate(noise)]
    (run / "egraff_deviation.txt").write_text(
        "# force deviation of a committee of 3, metal units: step max min mean\n" + "\n".join(lines)
    )
    found, reasons = verdict(run)
    assert found == word
    if word != "sound":
        assert reasons["committee_deviation"]["value"] == pytest.approx(1e3 * deviation, rel=0.02)


def test_a_committee_file_of_another_kind(sound, verdict):
    run = with_record(sound, deviations="egraff_deviation.txt")
    (run / "egraff_deviation.txt").write_text("step max\n0 high\n")
    verdict(run)
    (problem,) = [p for p in result_of(run)[0]["problems"] if p.startswith("committee: ")]
    assert "egraff_deviation.txt: expected lines of step, maximum, minimum and mean" in problem
    assert "fix: give the file that pair_style egraff wrote" in problem


def test_broken_bond(tmp_path):
    ethanol, frames = molecule("CH3CH2OH"), []
    random = np.random.default_rng(4)
    for index in range(60):
        frame = ethanol.copy()
        frame.positions += random.normal(scale=0.02, size=(9, 3))
        if index >= 40:  # the hydroxyl's hydrogen leaves
            frame.positions[3] += [0.0, 0.0, 0.1 * (index - 39)]
        frames.append(frame)
    run = run_of(tmp_path / "run", frames)
    analyse_run(read_run(run))
    content, _ = result_of(run)
    (reason, *_) = content["verdict"]["reasons"]
    assert content["verdict"]["word"] == "unsound"
    assert reason["metric"] == "bond-break"
    assert "bond" in reason["text"]


def test_limits_of_ones_own(tmp_path, sound, verdict):
    rules = tmp_path / "mine.yaml"
    rules.write_text("temperature: {unsound: null}\nstill: {metric: temperature, look: 1}\n")
    word, reasons = verdict(sound, rules=read_rules(rules))
    assert word == "look"
    assert reasons["temperature"]["text"].startswith("temperature is 4")
    assert reasons["temperature"]["source"] == "your own"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drift: 3\n", "drift: expected the fields of a rule, got 3\n  fix: write `drift: {look: "),
        (
            "drift: {limit: 3}\n",
            r"drift\.limit: Extra inputs .*\n  fix: a rule has the fields met",
        ),
        ("new: {look: 3}\n", r"new\.metric: Field required"),
        ("drift: {look: 3}\n", "drift: expected look <= unsound, got 3 > 1"),
        ("drift: {look: -3}\n", r"drift\.look: Input should be greater than or equal to 0"),
    ],
)
def test_rules_that_are_none(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_rules(path)


def test_the_command_line_says_it_and_exits_accordingly(tmp_path, calm):
    good, bad = (Path(shutil.copytree(calm, tmp_path / name)) for name in ("good", "bad"))
    with_record(bad, temperature_K=60.0)
    options = ["--no-model-checks", "--no-replay"]
    done = CliRunner().invoke(app, ["analyse", str(good), *options])
    assert done.exit_code == 0, done.output
    assert "  verdict: sound\n" in done.output
    done = CliRunner().invoke(app, ["analyse", str(tmp_path), *options])
    assert done.exit_code == 4
    assert "  verdict: unsound\n    unsound: the mean temperature is off" in done.output
    assert "bad: analysed" in done.output
    assert "good: up to date" in done.output


def test_stopped_by_a_guard(sound, verdict):
    """egraff run stopped itself in the middle: what came before counts, and the reason leads."""
    stop = {
        "guard": "distance",
        "stage": "production",
        "step": 3000,
        "atoms": [3, 9],
        "reason": "Ar3 and Ar9 are 1.2 A apart, limit 2.5 A",
    }
    word, reasons = verdict(with_record(sound, status="stopped by guard", stopped_by=stop))
    assert word == "unsound"
    assert reasons["guard"]["text"].startswith("guard at 12 ps: distance: Ar3 and Ar9 are 1.2 A")
    metrics = result_of(sound)[1]
    assert metrics["stability_time"].value == pytest.approx(12.0)
    assert "to 299" in metrics["temperature"].provenance
