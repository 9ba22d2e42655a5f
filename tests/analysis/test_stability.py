# SPDX-License-Identifier: GPL-2.0-or-later
"""Each criterion of stability, violated once."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule

from egraff.analysis.logs.thermo_log import ThermoLog, ThermoRun
from egraff.analysis.rdf import RadialDistribution
from egraff.analysis.stability import (
    Criteria,
    Violation,
    check_dump,
    check_log,
    check_rdf,
    stability_metric,
)
from egraff.analysis.structure import structure_of
from egraff.analysis.trajectory.frames import frames_universe
from egraff.data.lammps.dump_file import DumpFile
from egraff.errors import InputError
from tests.analysis.dumps import frame_text
from tests.analysis.systems import ideal_gas

CELL = np.diag([40.0, 40.0, 40.0])
ETHANOL = molecule("CH3CH2OH")
ELEMENTS = np.array(ETHANOL.get_chemical_symbols(), dtype=object)
START = ETHANOL.positions + 20.0


def violations(tmp_path, *frames, elements=ELEMENTS, boundary="ff ff ff"):
    text = "".join(
        frame_text(10 * k, p, CELL, elements=elements[: len(p)].tolist(), boundary=boundary)
        for k, p in enumerate(frames)
    )
    path = tmp_path / "d"
    path.write_text(text)
    dump = DumpFile(path)
    return check_dump(dump, elements, np.arange(len(dump)) * 0.5, Criteria())


def log(temperature, energy, errors=()):
    steps = np.arange(len(temperature)) * 100.0
    run = ThermoRun(["Step", "Temp", "TotEng"], np.stack([steps, temperature, energy], axis=1))
    return ThermoLog("log", runs=[run], errors=list(errors))


def test_a_healthy_molecule(tmp_path):
    assert violations(tmp_path, START, START + 0.1, START - 0.2) == []


def test_broken_bond(tmp_path):
    gone = START.copy()
    hydrogen = int(np.flatnonzero(ELEMENTS == "H")[0])
    gone[hydrogen] += 3.0 * (START[hydrogen] - START.mean(axis=0))
    (found,) = violations(tmp_path, START, START, gone)
    assert (found.criterion, found.time_ps, found.frame) == ("bond-break", 1.0, 2)
    assert f"H{hydrogen + 1}" in found.message
    assert "limit 0.5 A" in found.message


def test_overlapping_atoms(tmp_path):
    close = START.copy()
    close[1] = close[0] + [0.0, 0.0, 0.3]
    (found,) = violations(tmp_path, START, close, boundary="pp pp pp")
    assert found.criterion == "minimum-distance"
    assert "atoms 1 and 2 are 0.300 A apart" in found.message


def test_not_finite_positions(tmp_path):
    bad = START.copy()
    bad[3, 1] = np.nan
    (found,) = violations(tmp_path, START, bad)
    assert (found.criterion, found.message) == ("not-finite", "a position is not finite")


def test_lost_atoms(tmp_path):
    (found,) = violations(tmp_path, START, START[:-2])
    assert found.criterion == "lost-atoms"
    assert found.message == "7 of 9 atoms are left"


def test_criteria_of_the_log():
    quiet, times = np.full(5, 300.0), np.arange(5) * 0.1
    assert check_log(log(quiet, -quiet), times, 300.0, Criteria()) == []
    hot = np.array([300.0, 310.0, 1600.0, 1e5, 300.0])
    (found,) = check_log(log(hot, -quiet), times, 300.0, Criteria())
    assert (found.criterion, found.time_ps) == ("temperature", pytest.approx(0.2))
    assert found.message == "1600 K, limit 1500 K"
    (found,) = check_log(log(quiet, np.array([1, 2, np.nan, 4, 5])), times, 300.0, Criteria())
    assert (found.criterion, found.message) == ("not-finite", "TotEng is not finite")
    (found,) = check_log(log(quiet, quiet, ["ERROR: boom"]), times, None, Criteria())
    assert (found.criterion, found.time_ps) == ("lammps-error", pytest.approx(0.4))
    (found,) = check_log(ThermoLog("log", errors=["ERROR: early"]), times, None, Criteria())
    assert (found.time_ps, found.message) == (0.0, "ERROR: early")
    assert check_log(ThermoLog("log"), times, None, Criteria()) == []


def test_rdf_drift():
    frames = ideal_gas(40, 60, 12.0, seed=1)
    analysis = RadialDistribution(frames_universe(frames).atoms, r_max=6.0).run()
    reference = structure_of(analysis)
    curves, times = analysis.curves(), np.arange(40) * 0.1
    loose = Criteria(rdf_limit=2.0)
    assert check_rdf(curves, times, reference, loose) == []
    curves = curves.copy()
    curves[20:] += 3.0  # 6 A of range: the integral is 18
    (found,) = check_rdf(curves, times, reference, loose)
    assert (found.criterion, found.time_ps) == ("rdf-drift", pytest.approx(2.0))
    scatter = reference.g_blocks.std(axis=0).sum(axis=1).max() * reference.bin_width
    limit = float(found.message.split("limit ")[1].split()[0])
    assert 2.0 < limit <= (2.0 + 3.0 * scatter) * 1.005  # three digits of it are printed
    assert check_rdf(curves[:3], times[:3], reference, loose) == []


def test_rdf_drift_ignores_scatter_partial_windows_and_molecules():
    frames = ideal_gas(25, 20, 9.0, seed=2)  # one frame's g(r) of 20 atoms is mostly noise
    analysis = RadialDistribution(frames_universe(frames).atoms, r_max=4.0).run()
    reference = structure_of(analysis)
    curves, strict = analysis.curves(), Criteria(rdf_limit=0.05)
    one_frame_windows = np.arange(25) * 1.0
    assert check_rdf(curves, one_frame_windows, reference, strict) == []
    torn = curves.copy()
    torn[20:] += 9.0
    assert check_rdf(torn, one_frame_windows, reference, strict)[0].time_ps == 20.0
    assert check_rdf(torn, np.arange(25) * 0.049, reference, strict) == [], "half a window"
    molecule = replace(reference, periodic=False)
    assert check_rdf(torn, one_frame_windows, molecule, strict) == []


def test_stability_metric():
    late, early = Violation("a", 3.0, "late"), Violation("b", 1.0, "early")
    metric = stability_metric([late, early], 5.0, provenance="p")
    assert (metric.value, metric.unit, metric.note) == (1.0, "ps", "b: early")
    assert "a lower bound" in stability_metric([], 5.0, provenance="p").note
    with pytest.raises(InputError, match="expected a length of at least 0 ps, got -1"):
        stability_metric([], -1, provenance="p")
