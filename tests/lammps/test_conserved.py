# SPDX-License-Identifier: GPL-2.0-or-later
"""The energy that a run should conserve: is it, and is it noticed where it is not."""

import json

import numpy as np
import pytest

from egraff.lammps import inputs
from egraff.lammps.conserved import BLOCKS, ConservedEnergy
from egraff.lammps.run import resume_md
from egraff.lammps.run_record import read_record
from egraff.units import BOLTZMANN_EV_PER_K
from tests.lammps.conftest import EPSILON_EV, SIGMA_ANG, log_rows

N_ATOMS = 100
LIMIT = 0.01 * BOLTZMANN_EV_PER_K * 300.0 * 1000.0  # meV/atom/ps


def judged(energies, *, stage="production"):
    """Judge energies in eV of 1 ps of 100 atoms at 300 K."""
    watch = ConservedEnergy("Econserve")
    for time, energy in zip(np.linspace(0, 1, len(energies)), energies, strict=True):
        watch.row(stage, {"Time": time, "Temp": 300.0, "Econserve": energy})
    return watch.drift(N_ATOMS)


@pytest.mark.parametrize(
    ("slope", "verdict", "words"),
    [
        (0.1, "conserved", "Econserve conserved, drift +0.0"),
        (-20.0, "drifts", "try a smaller --timestep-fs; if it stays, the model's energy is not sm"),
        (1.0, "unclear", "(1 % of kT per ps): too short a run to tell"),
        (9.0, "unclear", "too short a run to tell"),  # a tenth of kT in this one ps is no drift yet
    ],
)
def test_a_slope_with_noise(slope, verdict, words):
    """Slopes in units of the limit; the noise leaves an error of about a fifth of the limit."""
    rng = np.random.default_rng(1)
    time = np.linspace(0, 1, 400)
    noise = 0.2 * LIMIT * np.sqrt(400 / 12) * rng.normal(size=400)
    drift = judged(-5000.0 + (slope * LIMIT * time + noise) * N_ATOMS / 1000.0)

    assert drift.limit == pytest.approx(LIMIT)
    assert abs(drift.mev_per_atom_ps - slope * LIMIT) < 3 * drift.error
    assert 0.1 < drift.error / LIMIT < 0.4
    assert (drift.verdict, words in str(drift)) == (verdict, True)


def test_what_is_not_judged():
    assert judged([1.0] * (2 * BLOCKS - 1)) is None
    assert judged([1.0] * 400, stage="equilibrate") is None
    assert judged([*[1.0] * 400, np.nan]) is None
    assert judged([1.0] * 2 * BLOCKS).mev_per_atom_ps == 0.0


@pytest.fixture
def smooth(lj, monkeypatch):
    """Use a Lennard-Jones potential whose forces end smoothly: what conserves, does."""
    lines = ["pair_style lj/smooth/linear 6.0", f"pair_coeff * * {EPSILON_EV} {SIGMA_ANG}"]
    monkeypatch.setattr(inputs, "pair_lines", lambda *_, **__: lines)


@pytest.mark.parametrize(
    ("ensemble", "thermostat"),
    [
        ("nve", "csvr"),
        *((ensemble, name) for ensemble in ("nvt", "npt") for name in ("csvr", "nose-hoover")),
        *((ensemble, "langevin") for ensemble in ("nvt", "npt")),
    ],
)
def test_econserve_is_conserved_by_every_thermostat(smooth, run_lj, ensemble, thermostat):
    """The total energy is not, by far: what a thermostat gives and takes is counted."""
    record, rows, directory = run_lj(
        ensemble=ensemble,
        thermostat=thermostat,
        thermostat_damp_ps=0.05,
        barostat_damp_ps=0.3,
        timestep_fs=2.0,
        steps=1000,
        dump_every=0,
    )
    column = "TotEng" if ensemble == "nve" else "Econserve"
    conserved, total = (np.std([row[name] for row in rows]) for name in (column, "TotEng"))

    # barostats let it wander with the volume, which changes by a sixth here
    expected = ("conserved", "unclear") if ensemble == "npt" else ("conserved",)
    assert record.segments[0].drift.verdict in expected
    assert record.segments[0].drift.column == column
    assert conserved == total if ensemble == "nve" else conserved < 0.1 * total
    assert read_record(directory) == record


def test_a_drift_is_told_and_kept(smooth, monkeypatch, run_lj):
    """Friction that no thermostat counts: the kinetic energy decays by a fifth in a ps."""
    lines = [*inputs.pair_lines(), "fix friction all viscous 4e-4"]
    monkeypatch.setattr(inputs, "pair_lines", lambda *_, **__: lines)
    record, _, directory = run_lj(steps=500, dump_every=0)
    (segment,) = record.segments

    assert segment.drift.verdict == "drifts"
    # 3/2 kT decays by a fifth, half of it comes from the potential energy
    assert segment.drift.mev_per_atom_ps < -10 * segment.drift.limit
    assert record.warnings[-1] == f"{segment.drift} (from step 0)"
    assert json.loads((directory / "run.json").read_text())["warnings"] == record.warnings


def test_each_start_is_judged_by_itself(smooth, run_lj):
    """Langevin counts from zero in every start: a step in the log's column is no drift."""
    _, _, directory = run_lj(
        ensemble="nvt", thermostat="langevin", timestep_fs=2.0, steps=500, dump_every=0
    )
    record = resume_md({"steps": 1000}, directory)
    energies = np.array([row["Econserve"] for row in log_rows(directory / "log.lammps")])
    first, second = energies[:50], energies[51:]

    assert [segment.drift.verdict for segment in record.segments] == ["conserved"] * 2
    assert abs(second.mean() - first.mean()) > 5 * first.std()
