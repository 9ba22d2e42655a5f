# SPDX-License-Identifier: GPL-2.0-or-later
"""Local order, density, pressure, equipartition and the model's own checks, in a run's result."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.lj import LennardJones

from egraff.analysis import context
from egraff.analysis.context import AnalysisContext
from egraff.analysis.model_checks import ModelChecks
from egraff.analysis.parameters import Parameters
from egraff.analysis.pipeline import CURVES, RESULT
from egraff.analysis.reference import read_reference
from egraff.analysis.runs import read_run
from tests.analysis.dumps import frame_text, log_text, write_run
from tests.analysis.runs import (
    N_THERMAL,
    SALT,
    analyse_run,
    atoms_moving,
    make_run,
    result_of,
    run_of,
    thermal,
)


def test_rock_salt_has_its_shells_angles_and_density(tmp_path):
    path = tmp_path / "reference.xyz"
    ase.io.write(path, list(thermal(SALT, 1)))
    run = run_of(tmp_path / "run", thermal(SALT, 2))
    analyse_run(read_run(run), reference=read_reference(path))
    content, metrics = result_of(run)
    assert not [problem for problem in content["problems"] if "order" in problem]
    for prefix in ("", "reference_"):
        assert metrics[f"{prefix}coordination[Na-Cl]"].value == pytest.approx(6.0, abs=1e-6)
        assert metrics[f"{prefix}coordination[Na-Na]"].value == pytest.approx(12.0, abs=1e-6)
    # twelve right angles and three straight ones, which shaking bends
    mean = metrics["angle_mean[Cl-Na-Cl]"]
    assert mean.value == pytest.approx((12 * 90 + 3 * 180) / 15, abs=1.0)
    assert (mean.unit, mean.error is not None) == ("degree", True)
    assert "Na-Na-Na" not in str(sorted(metrics))
    assert metrics["angle_jensen_shannon[Cl-Na-Cl]"].value < 0.02
    # four formula units of 58.4428 g/mol in (5.64 A)^3
    expected = 4 * 58.4428 / 6.02214076e23 / 5.64e-8**3
    assert metrics["density"].value == pytest.approx(expected, rel=1e-4)
    assert metrics["density"].unit == "g/cm^3"
    assert metrics["structure_factor_peak"].value > 1.0
    with np.load(run / CURVES) as curves:
        assert curves["sq/s"].shape == curves["sq/q"].shape == curves["sq/s_reference"].shape
        density = curves["adf/density"]
        assert density.sum(axis=1) == pytest.approx(np.ones(len(density)))
        assert density.shape == curves["adf/density_reference"].shape


def test_bonds_and_angle_of_water(tmp_path):
    path = tmp_path / "reference.xyz"
    water = molecule("H2O", vacuum=5.0)
    water.pbc = False
    ase.io.write(path, [water] * 4)
    longer = water.copy()
    longer.set_distance(0, 1, water.get_distance(0, 1) + 0.03, fix=0)
    run = run_of(tmp_path / "run", [longer] * N_THERMAL)
    analyse_run(read_run(run), reference=read_reference(path))
    content, metrics = result_of(run)
    assert not [problem for problem in content["problems"] if problem.startswith("order")]
    # one of two bonds is 0.03 A longer
    assert metrics["bond_length_deviation"].value == pytest.approx(0.015, abs=1e-6)
    assert metrics["bond_length_worst"].value == pytest.approx(0.03, abs=1e-6)
    angle = water.get_angle(1, 0, 2)
    assert metrics["angle_mean[H-O-H]"].value == pytest.approx(angle, abs=0.5)
    assert "density" not in metrics


def test_reference_in_another_order_of_atoms(tmp_path):
    path = tmp_path / "reference.xyz"
    water = molecule("H2O")
    ase.io.write(path, [water] * 4)
    run = run_of(tmp_path / "run", [water[[1, 0, 2]]] * 4)
    analyse_run(read_run(run), reference=read_reference(path))
    content, _ = result_of(run)
    assert any(
        "expected the atoms of the reference in the same order (OH2), got HOH" in problem
        for problem in content["problems"]
    )


def test_density_of_a_cell_that_breathes(tmp_path):
    random = np.random.default_rng(0)
    volume = 4 * 39.95 * 1.66053906892 / (1.4 + 0.05 * random.normal(size=400))
    pressure = 100.0 + 25.0 * random.normal(size=400)
    rows = [(i, v, p) for i, (v, p) in enumerate(zip(volume, pressure, strict=True))]
    atoms = Atoms("Ar4", positions=4 * random.uniform(size=(4, 3)), cell=[6.0] * 3, pbc=True)
    log = log_text(("Step", "Volume", "Press"), rows)
    run = run_of(tmp_path / "run", [atoms] * 3, log=log, ensemble="npt")
    analyse_run(read_run(run))
    _, metrics = result_of(run)
    density = metrics["density"]
    assert density.value == pytest.approx(1.4, abs=4 * density.error)
    assert density.error == pytest.approx(0.05 / np.sqrt(400), rel=0.4)
    fluctuation = metrics["pressure_fluctuation"]
    assert fluctuation.value == pytest.approx(25.0, abs=4 * fluctuation.error)
    # the error of a standard deviation from n independent samples is sigma / sqrt(2 n)
    assert fluctuation.error == pytest.approx(25.0 / np.sqrt(800), rel=0.4)
    assert fluctuation.unit == "bar"


def test_equipartition_of_two_species(tmp_path):
    random = np.random.default_rng(3)
    masses = SALT.get_masses()
    width = 1.0 / np.sqrt(masses)[None, :, None]
    velocities = random.normal(size=(N_THERMAL, len(SALT), 3)) * width
    frames = list(thermal(SALT, 2))
    run = run_of(tmp_path / "equal", frames, velocities=velocities)
    analyse_run(read_run(run))
    _, metrics = result_of(run)
    excess = metrics["temperature_excess[Na]"]
    assert abs(excess.value) < 4 * excess.error
    # sodium with twice the kinetic energy: 2 T and T are T / 2 above and below their mean
    hot = velocities * np.where(SALT.symbols == "Na", np.sqrt(2.0), 1.0)[None, :, None]
    run = run_of(tmp_path / "hot", frames, velocities=hot)
    analyse_run(read_run(run))
    _, metrics = result_of(run)
    half = 0.5 * metrics["temperature[Cl]"].value
    assert metrics["temperature_excess[Na]"].value == pytest.approx(half, rel=0.1)
    assert metrics["temperature_excess[Cl]"].value == pytest.approx(-half, rel=0.1)


class Counted:
    """Loads Lennard-Jones, and counts how often."""

    def __init__(self):
        self.loaded = 0

    def __call__(self, _path):
        self.loaded += 1
        return LennardJones(sigma=3.4, epsilon=0.0104, rc=5.9, smooth=True)


def test_checks_of_a_model_are_made_once(tmp_path):
    load = Counted()
    checks = ModelChecks(load)
    for name in ("one", "two"):
        run = make_run(tmp_path / name)
        analyse_run(read_run(run), checks=checks)
        _, metrics = result_of(run)
        assert metrics["rotation_error"].value < 1e-6
        assert metrics["invariance_error"].unit == "meV/atom"
        assert metrics["force_flips[Ar-Ar]"].value == 1  # the minimum
        assert metrics["force_energy_mismatch[Ar8]"].value < 0.01
    assert load.loaded == 1
    with np.load(run / CURVES) as curves:
        assert curves["dimer/pairs"].tolist() == ["Ar-Ar"]
        assert curves["dimer/energy"].shape == curves["dimer/distance"].shape == (1, 121)


def test_checks_are_of_one_cell(tmp_path):
    load = Counted()
    checks = ModelChecks(load)
    for name, length in (("one", 12.0), ("two", 13.0)):
        frame = frame_text(0, atoms_moving(1)[0].positions, np.eye(3) * length)
        run = write_run(tmp_path / name, [frame], n_atoms=8)
        (run / "model.egraff.pt").write_text("a model")
        analyse_run(read_run(run), checks=checks)
    assert load.loaded == 2


def test_large_systems_are_not_turned_around(tmp_path, monkeypatch):
    monkeypatch.setattr("egraff.analysis.model_checks._MOST_ATOMS", 4)
    run = make_run(tmp_path / "run")
    analyse_run(read_run(run), checks=ModelChecks(Counted()))
    _, metrics = result_of(run)
    assert metrics["rotation_error"].value is None
    assert metrics["rotation_error"].note == "left out: 8 atoms, at most 4 are checked"
    assert "force_flips[Ar-Ar]" in metrics


def test_checks_change_what_is_up_to_date(tmp_path):
    run = read_run(make_run(tmp_path / "run"))
    assert analyse_run(run, parameters=Parameters(max_frames=10))
    assert analyse_run(run, parameters=Parameters(max_frames=10), checks=ModelChecks(Counted()))


def test_a_log_is_read_once(tmp_path, monkeypatch):
    read = []
    read_log = context.read_run_log
    monkeypatch.setattr(context, "read_run_log", lambda *of: read.append(of) or read_log(*of))
    analyse_run(read_run(make_run(tmp_path / "run")))
    assert len(read) == 1


def test_production_begins_when_the_log_is_stationary(tmp_path):
    drifting = [(10 * i, -1.0 - (i < 200)) for i in range(500)]
    run = make_run(tmp_path / "run")
    (run / "log.lammps").write_text(log_text(("Step", "PotEng"), drifting))
    start = AnalysisContext(read_run(run)).equilibrated_from_ps
    assert start == pytest.approx(200 * 10 * 2e-3, abs=0.1)


@pytest.mark.parametrize("text", ["[]", "{", "3"])
def test_a_result_that_is_none_is_made_again(tmp_path, text):
    run = make_run(tmp_path / "run")
    analyse_run(read_run(run))
    (run / RESULT).write_text(text)
    assert analyse_run(read_run(run))
    assert result_of(run)[0]["metrics"]
