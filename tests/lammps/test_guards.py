# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits at which a run stops itself: which they are, and that it does."""

import json
import re

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from typer.testing import CliRunner

from egraff.cli import app
from egraff.cli.run import STOPPED_BY_GUARD
from egraff.errors import InputError
from egraff.export import export_torchscript
from egraff.lammps.guard_stop import stop_of_error
from egraff.lammps.guards import check_start, choose_guards
from egraff.lammps.inputs import pair_lines
from egraff.lammps.inputs_ensemble import System
from egraff.lammps.run import resume_md
from egraff.lammps.run_record import read_record
from egraff.lammps.run_settings import make_settings
from egraff.lammps.structure import to_lammps
from tests.lammps.collapse import SHORTEST, TRAINING_DATA, collapse
from tests.lammps.conftest import log_rows

WATER = System(
    n_atoms=192, elements=("O", "H"), pbc=(True,) * 3, triclinic=False, rigid_dof=3, rotates=False
)
KNOWN = {"elements": ["H", "C", "O"], "training_data": TRAINING_DATA}
OLD = {"elements": ["H", "C", "O"], "training_data": {}}
FILES = {"model": "m", "structure": "s"}


def guards(metadata=KNOWN, system=WATER, **values):
    return choose_guards(make_settings({**FILES, **values}), system, metadata)


def test_limits_follow_from_the_training_data():
    found = guards(ensemble="nvt")

    assert found.min_distance == pytest.approx({k: 0.7 * d for k, d in SHORTEST.items()})
    assert found.max_force == 5 * 6.0
    assert found.max_temperature == 3 * 300.0
    assert found.remarks == ()
    assert found.lines() == [
        "distances below 0.665 A (H-O) to 1.68 A (O-O): 0.7 x the shortest of the training data",
        "forces above 30 eV/A: 5 x the largest of the training data",
        "temperatures above 900 K: 3 x the one that is set",
    ]


def test_a_model_that_tells_nothing_has_general_limits_and_that_is_said():
    found = guards(OLD)

    # covalent radii of H and O are 0.31 and 0.66 A (Cordero et al., 2008)
    assert found.min_distance == pytest.approx({"H-O": 0.582, "H-H": 0.372, "O-O": 0.792})
    assert found.max_force == 100.0
    assert found.remarks == (
        "the model's file does not tell distances and forces of its training data; the run is "
        "guarded by general limits, distances of 0.6 x the sum of covalent radii and forces of "
        "100 eV/A",
    )
    assert guards(OLD, min_distance=0.5, max_force=None).remarks == ()


def test_pairs_that_the_training_data_lack():
    methane = System(**{**vars(WATER), "elements": ("C", "H")})
    found = guards(system=methane)

    assert found.min_distance == pytest.approx({"C-C": 0.912, "C-H": 0.642, "H-H": 1.05})
    assert "or 0.6 x the sum of covalent radii of pairs that are not in it" in found.lines()[0]


def test_limits_by_hand_and_none():
    found = guards(min_distance={"O-H": 0.5, "H-H": 0}, max_force=7, max_temperature=1234)

    assert found.min_distance == pytest.approx({"H-O": 0.5, "H-H": 0.0, "O-O": 1.68})
    assert (found.max_force, found.max_temperature) == (7.0, 1234.0)
    assert found.lines()[0].startswith(
        "distances below 0.5 A (H-O) to 1.68 A (O-O): given, or 0.7 x"
    )
    assert guards(min_distance=0.4).lines()[0] == "distances below 0.4 A: given"
    assert guards(min_distance="0.4").min_distance == dict.fromkeys(SHORTEST, 0.4)
    assert guards(min_distance="H-O:0.5,O-O:1").min_distance["H-O"] == 0.5
    off = guards(min_distance=None, max_force=None, max_temperature=None)
    assert (off.min_distance, off.max_force, off.max_temperature, off.lines()) == (
        None,
        None,
        None,
        [],
    )


def test_weak_forces_in_the_training_data_do_not_stop_a_hot_solid():
    near = {"visited": {"shortest_distances_ang": {}, "largest_force_ev_per_ang": 0.1}}

    assert guards({**KNOWN, "training_data": near}).max_force == 20.0


def test_few_atoms_may_fluctuate_further():
    """Of one vibration, the kinetic energy is beyond 3 kT/2 in a twelfth of all looks."""
    few = System(**{**vars(WATER), "n_atoms": 2, "pbc": (False,) * 3, "rigid_dof": 5})
    found = guards(system=few, ensemble="nvt")

    # chi-squared of one degree of freedom exceeds 50.8 with a probability of 1e-12
    assert found.max_temperature == pytest.approx(50.8 * 300.0, rel=1e-3)


def test_no_limit_on_a_temperature_that_nobody_set():
    for velocities in ("structure", "zero"):
        assert guards(velocities=velocities).max_temperature is None
    assert guards(velocities="structure", ensemble="nvt").max_temperature == 900.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"min_distance": 0},
            "--min-distance: expected a number above 0, or distances by pairs of ",
        ),
        (
            {"min_distance": "near"},
            "of elements, got 'near'\n  fix: give a distance in A, or dista",
        ),
        ({"min_distance": {"H-O": -1}}, "--min-distance: expected a number above 0, or distances"),
        ({"min_distance": {"H": 1.0}}, "--min-distance: expected a number above 0, or distances"),
        ({"min_distance": "H-O:1,O"}, "--min-distance: expected a number above 0, or distances"),
        ({"max_force": -2}, "--max-force: expected a number above 0, got -2\n  fix: give a force"),
        ({"max_temperature": 0}, "--max-temperature: expected a number above 0, got 0\n  fix: giv"),
    ],
)
def test_limits_that_are_none(values, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make_settings({**FILES, **values})


def test_a_pair_of_unknown_elements():
    with pytest.raises(
        InputError, match=r"--min-distance: expected elements that .* \(H, C, O\), got"
    ):
        guards(min_distance={"H-Xy": 0.5})


def test_a_start_beyond_the_limit_is_refused():
    water = molecule("H2O")
    water.positions[1] *= 0.6
    structure = to_lammps(water, ["H", "C", "O"])
    message = (
        r"s.xyz: --min-distance: expected H-O distances of at least 0.665 A \(0.7 x the 0.95 A of "
        r"the training data\), got atoms 0 and 1 at 0.\d+ A\n  fix: start from another"
    )
    with pytest.raises(InputError, match=message):
        check_start(guards(), structure, where="s.xyz")
    check_start(guards(min_distance={"O-H": 0}), structure)
    check_start(guards(min_distance=None), structure)


def test_limits_of_the_pair_style():
    lines = pair_lines("m", ["O", "H"], device="cpu", threads=1, guards=guards())

    assert lines[0].endswith("threads 1 min_distance O-O:1.68,H-O:0.665,H-H:1.05 max_force 30")


AT = "of type {} at (1.5, -2, 3e-05)"
HEAD = "ERROR on proc 0: pair_style egraff: model.egraff.pt: expected "


@pytest.mark.parametrize(
    ("text", "guard", "atoms", "reason"),
    [
        (
            "distances of at least min_distance 0.665, got 0.641234 at step 70 between atom 4 "
            f"{AT.format(1)} and atom 9 {AT.format(2)}; the configuration",
            "distance",
            (4, 9),
            "O 4 and H 9 at 0.641 A, limit 0.665 A (0.7 x the 0.95 A of the training data)",
        ),
        (
            f"forces of at most max_force 30, got 87.5 at step 70 on atom 9 {AT.format(2)}; the",
            "force",
            (9,),
            "87.5 eV/A on H 9, limit 30 eV/A (5 x the largest of the training data)",
        ),
        (
            "finite energies and forces, got others at step 70, first for atom 4 "
            f"{AT.format(1)}; the configuration",
            "finite",
            (4,),
            "energies or forces that are not finite, first of O 4",
        ),
        (
            f"atoms at different places, got 0 between atom 4 {AT.format(1)} and atom 9 "
            f"{AT.format(2)} at step 70; the configuration",
            "distance",
            (4, 9),
            "O 4 and H 9 in one place",
        ),
    ],
)
def test_what_a_message_of_the_pair_style_means(text, guard, atoms, reason):
    known = {"stage": "production", "elements": ["O", "H"], "guards": guards()}
    stop = stop_of_error([HEAD + text, "fix: look at"], **known)

    assert (stop.guard, stop.step, stop.atoms, stop.reason) == (guard, 70, atoms, reason)
    assert stop_of_error(["ERROR: Lost atoms: original 3 current 2"], **known) is None


@pytest.fixture(scope="module")
def collapsing(tmp_path_factory):
    """Return the options of a run of eight water molecules that fall into themselves."""
    path = tmp_path_factory.mktemp("collapse")
    export_torchscript(collapse(), path / "m.egraff.pt", training_data=TRAINING_DATA)
    water = molecule("H2O")
    atoms = Atoms()
    for shift in np.ndindex(2, 2, 2):
        copy = water.copy()
        copy.positions += 3.1 * np.array(shift)
        atoms += copy
    ase.io.write(path / "start.xyz", atoms)
    return (
        *("--model", path / "m.egraff.pt", "--structure", path / "start.xyz", "--device", "cpu"),
        *("--ensemble", "nvt", "--thermostat", "csvr", "--thermostat-damp-ps", 0.01),
        *("--timestep-fs", 0.5, "--dump-every", 20),
    )


def egraff_run(*words):
    return CliRunner().invoke(app, ["run", *map(str, words)], catch_exceptions=False)


def test_a_molecule_that_collapses_at_the_right_temperature(collapsing, tmp_path):
    """Without the limit the same run is completed, at 300 K, with atoms on top of each other."""
    out = tmp_path / "run"
    first = egraff_run(*collapsing, "--steps", 400, "--out", out)
    record = read_record(out)
    stop = record.stopped_by

    assert first.exit_code == STOPPED_BY_GUARD == 3
    assert "stops at distances below 0.665 A (H-O) to 1.68 A (O-O)" in first.output
    assert record.status == record.segments[0].status == "stopped by guard"
    assert (stop.guard, stop.stage, len(stop.atoms)) == ("distance", "production", 2)
    assert f"stopped by guard: {record.steps_done} of 400 steps" in first.output
    assert f"distance in step {stop.step} of production" in first.output
    assert f"the configuration is in {out}/egraff_stopped.lammpstrj" in first.output
    assert f"last frame before it is that of step {(stop.step - 1) // 20 * 20}" in first.output
    assert "--resume --no-guard-distance" in first.output
    assert "\nverdict from the log: unsound\n  unsound: " in first.output
    content = json.loads((out / "run.json").read_text())
    assert content["status"] == "stopped by guard"
    assert content["stopped_by"]["reason"] in content["error"]
    assert f"  {content['error']}\n" in first.output
    assert content["guards"]["min_distance"] == pytest.approx(
        {pair: 0.7 * distance for pair, distance in SHORTEST.items()}
    )

    # it keeps its limits, and goes on without one that is turned off
    again = resume_md({}, out)
    assert again.status == "stopped by guard"
    assert again.stopped_by == stop
    assert again.guards == record.guards
    free = resume_md({"min_distance": None}, out)
    assert (free.status, free.stopped_by, free.steps_done) == ("completed", None, 400)
    assert not (out / "egraff_stopped.lammpstrj").exists()
    # 66 degrees of freedom fluctuate by 17 %; some ten independent samples leave 6 %
    temperatures = [row["Temp"] for row in log_rows(out / "log.lammps")]
    assert np.mean(temperatures[20:]) == pytest.approx(300.0, rel=0.2)
    frames = ase.io.read(out / "dump.lammpstrj", index=":", format="lammps-dump-text")
    assert min(frame.get_all_distances()[np.triu_indices(24, 1)].min() for frame in frames) < 0.5


def test_large_forces_stop_a_run(collapsing, tmp_path):
    limits = ("--max-force", 0.02, "--no-guard-distance", "--ranks", 2)
    result = egraff_run(*collapsing, *limits, "--steps", 100, "--out", tmp_path / "run")
    stop = read_record(tmp_path / "run").stopped_by

    assert result.exit_code == STOPPED_BY_GUARD
    assert re.match(r"0\.\d+ eV/A on [HO] \d+, limit 0\.02 eV/A \(given\)", stop.reason)


def test_heat_stops_a_run(run_lj):
    record, rows, directory = run_lj(
        temperature=40.0, max_temperature=30.0, equilibrate_steps=0, steps=500
    )
    stop = record.stopped_by

    assert record.status == "stopped by guard"
    assert (stop.guard, stop.step, record.steps_done) == ("temperature", 10, 10)
    assert rows[-1]["Step"] == 10
    assert stop.reason.startswith(f"{rows[-1]['Temp']:.4g} K, limit 30 K (given); the fastest: Ar ")
    assert len(stop.atoms) == 3
    frame = ase.io.read(directory / "egraff_stopped.lammpstrj", format="lammps-dump-text")
    fastest = np.argsort(-(frame.get_velocities() ** 2).sum(axis=1))[:3] + 1
    assert stop.atoms == tuple(fastest)
    assert resume_md({"max_temperature": None, "steps": 50}, directory).status == "completed"


def test_equilibration_may_be_hotter(run_lj):
    """It is there for structures that are not at their temperature yet."""
    record, rows, _ = run_lj(
        ensemble="nvt", temperature=40.0, max_temperature=30.0, equilibrate_steps=100, steps=50
    )

    assert (record.stopped_by.stage, record.stopped_by.step) == ("production", 10)
    assert [row["Step"] for row in rows] == [0, 10]


@pytest.mark.parametrize("guard", ["distance", "force", "temperature"])
def test_a_limit_is_set_or_turned_off(collapsing, guard, tmp_path):
    name = {"distance": "min-distance"}.get(guard, f"max-{guard}")
    words = (f"--{name}", 1.0, f"--no-guard-{guard}", "--out", tmp_path / "run")
    with pytest.raises(InputError, match=f"expected one of --{name} and --no-guard-{guard}, got b"):
        egraff_run(*collapsing, *words)


def test_null_in_a_file_turns_a_limit_off(collapsing, tmp_path):
    (tmp_path / "c.yaml").write_text("min_distance: null\nmax_force: null\nmax_temperature: null\n")
    words = ("--config", tmp_path / "c.yaml", "--dry-run", "--out", tmp_path / "run")

    assert "stops at" not in egraff_run(*collapsing, *words).output
    text = (tmp_path / "run" / "in.lammps").read_text()
    assert "min_distance" not in text
    assert "guard_temperature" not in text


def test_a_run_of_an_older_version_gets_limits_when_it_is_resumed(finished, capsys):
    content = json.loads((finished / "run.json").read_text())
    for name in ("guards", "stopped_by"):
        del content[name]
    for name in ("min_distance", "max_force", "max_temperature"):
        del content["settings"][name]
    (finished / "run.json").write_text(json.dumps(content))
    record = resume_md({"steps": 110}, finished)

    assert record.guards.max_temperature == 120.0
    assert "stops at temperatures above 120 K: 3 x the one that is set" in capsys.readouterr().err
