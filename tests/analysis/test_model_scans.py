# SPDX-License-Identifier: GPL-2.0-or-later
"""Replay, scans and symmetry of calculators whose behaviour is known."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from egraff.analysis.equivariance import equivariance_errors
from egraff.analysis.replay import replay, replay_metrics
from egraff.analysis.smoothness import Scan, dimer_scan, line_scan, scan_metrics
from egraff.analysis.trajectory.frames import frame_times_ps
from egraff.errors import InputError
from tests.analysis.systems import Broken


def labelled(n_frames=12):
    frames = []
    for seed in range(n_frames):
        atoms = bulk("Ar", "fcc", a=4.4, cubic=True).repeat(2)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = Broken()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.info["time_fs"] = 5.0 * seed
        frames.append(atoms)
    return frames


def metrics_of(result):
    return {metric.name: metric for metric in replay_metrics(result, provenance="p")}


def test_replay_of_a_perfect_model():
    result = replay(labelled(4), Broken())
    metrics = metrics_of(result)
    assert result.time_ps.tolist() == [0.0, 0.005, 0.01, 0.015]
    assert metrics["replay_ev"].value == 0.0
    assert metrics["replay_fv"].value == 0.0
    assert metrics["replay_force_mae"].value == 0.0


def test_replay_of_a_model_with_known_errors():
    frames = labelled()
    metrics = metrics_of(replay(frames, Broken(factor=0.8, offset=0.32)))
    # |0.8 F - F| / (0.8 |F| + |F|) = 0.2 / 1.8
    assert metrics["replay_fv"].value == pytest.approx(0.2 / 1.8)
    # 0.32 eV over 32 atoms
    assert metrics["replay_energy_mae"].value == pytest.approx(10.0)
    assert metrics["replay_energy_mae"].unit == "meV/atom"
    mean_force = np.mean([np.abs(frame.get_forces()).mean() for frame in frames])
    assert metrics["replay_force_mae"].value == pytest.approx(200.0 * mean_force)
    # a constant offset is no violation once the offset is removed
    assert metrics["replay_ev_offset_free"].value == pytest.approx(0.0, abs=1e-12)
    assert metrics["replay_ev"].value > 0.0


def test_constant_energies_have_no_violation_of_their_changes():
    metrics = metrics_of(replay(labelled(1) * 3, Broken()))
    assert metrics["replay_ev_offset_free"].value is None
    assert "does not vary" in metrics["replay_ev_offset_free"].note


def test_replay_refuses_what_has_no_labels():
    with pytest.raises(InputError, match="ref: expected at least one frame, got none"):
        replay([], Broken(), where="ref")
    with pytest.raises(InputError, match="ref: frame 0: expected energy as a label, got none"):
        replay([molecule("H2O")], Broken(), where="ref")


def test_times_of_frames():
    frames = [Atoms("H"), Atoms("H")]
    assert frame_times_ps(frames) is None
    for index, frame in enumerate(frames):
        frame.info["time_ps"] = 0.5 * index
    assert frame_times_ps(frames).tolist() == [0.0, 0.5]


def test_dimer_of_a_smooth_model():
    scan = dimer_scan(LennardJones(rc=50.0), "Ar", "Ar", np.linspace(0.95, 3.0, 400))
    metrics = {metric.name: metric.value for metric in scan_metrics(scan, provenance="p")}
    assert metrics["force_energy_mismatch[Ar-Ar]"] < 1e-3
    assert metrics["force_flips[Ar-Ar]"] == 1  # the minimum
    assert 1.0 < metrics["tortuosity[Ar-Ar]"] < 2.0
    assert scan.energy.min() == pytest.approx(-1.0, abs=1e-3)


def test_dimer_of_a_model_that_jumps():
    x = np.linspace(1.0, 3.0, 200)
    force = 1.0 / x + np.where(x > 2.0, 0.5, 0.0)
    scan = Scan(x, -np.log(x), force, "A-B")
    metrics = {metric.name: metric.value for metric in scan_metrics(scan, provenance="p")}
    assert metrics["force_jump[A-B]"] > 100
    assert metrics["force_energy_mismatch[A-B]"] > 0.5
    assert metrics["tortuosity[A-B]"] == pytest.approx(1.0)


def test_line_scan_through_a_crystal():
    atoms = bulk("Cu", cubic=True).repeat(2)
    direction = np.zeros((32, 3))
    direction[0] = [1.0, 1.0, 0.0]
    scan = line_scan(EMT(), atoms, direction, length=0.4, n_points=81)
    metrics = {metric.name: metric.value for metric in scan_metrics(scan, provenance="p")}
    assert metrics["force_energy_mismatch[Cu32]"] < 1e-3
    assert scan.energy[40] == scan.energy.min()


def test_bad_scans():
    with pytest.raises(InputError, match=r"expected a direction \[3, 3\] that is not zero"):
        line_scan(EMT(), molecule("H2O"), np.zeros((3, 3)), length=1.0)
    with pytest.raises(InputError, match="A: expected at least 7 points, got 3"):
        scan_metrics(Scan(np.arange(3.0), np.zeros(3), np.zeros(3), "A"), provenance="p")
    x = np.arange(9.0) ** 2
    with pytest.raises(InputError, match="A: expected evenly spaced points, got spacings from"):
        scan_metrics(Scan(x, x, x, "A"), provenance="p")


def test_equivariance():
    atoms = bulk("Ar", "fcc", a=4.4, cubic=True)
    atoms.rattle(0.2, seed=3)
    good = equivariance_errors(atoms, Broken(), provenance="p")
    assert [metric.unit for metric in good] == ["meV/A"] * 3 + ["meV/atom"]
    assert max(metric.value for metric in good) < 1e-8
    bad = {m.name: m.value for m in equivariance_errors(atoms, Broken(push=0.1), provenance="p")}
    # a push along x of 100 meV/A does not turn: up to twice as much is wrong
    assert 100 < bad["rotation_error"] <= 200
    assert bad["translation_error"] < 1e-8
