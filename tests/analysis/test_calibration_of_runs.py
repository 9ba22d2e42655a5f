# SPDX-License-Identifier: GPL-2.0-or-later
"""How often the errors of a run's metrics hold the truth, over independent runs of three systems.

    OMP_NUM_THREADS=1 python -m pytest -m slow -s tests/analysis/test_calibration_of_runs.py

A harmonic crystal, solved exactly, whose temperatures and pressure are known; a Lennard-Jones
crystal in LAMMPS; a small crystal of a NequIP trained for a few epochs, in LAMMPS. Where nothing is
known the truth is the mean over all runs. The tables in docs/calibration.md are what this prints.
"""

from __future__ import annotations

import numpy as np
import pytest

from egraff.analysis.runs import read_run
from tests.analysis import crystal, harmonic, learned_crystal
from tests.analysis.runs import analyse_run, result_of

#: Runs of what is cheap, and of a network.
N_CHEAP, N_LEARNED = 144, 48
#: The middle of 0.60 to 0.75, and how many binomial standard errors a fraction may be off it: 0.58
#: to 0.77 with 144 runs, 0.51 to 0.84 with 48. Both were written down before the runs were made.
MIDDLE, SURE = 0.675, 2.5
#: Metrics that fewer runs have an error for are left out: angles of a rare triplet.
MOSTLY = 0.8


def calibrate(runs, exact=None) -> None:
    """Print how often the error of each metric holds the truth; each must be in the band."""
    found: dict[str, list[tuple[float, float]]] = {}
    starts = []
    for run in runs:
        analyse_run(read_run(run), force=True)
        metrics = result_of(run)[1]
        starts.append(metrics["equilibrated_from"].value)
        for metric in metrics.values():
            # differences from a reference are not errors about their own mean
            if metric.error and metric.noise is None:
                found.setdefault(metric.name, []).append((metric.value, metric.error))
    outside = {}
    print(
        f"\n{len(starts)} runs; production from {np.median(starts):.3g} ps, at most "
        f"{max(starts):.3g} ps"
    )
    print("| metric | truth | runs with an error | held | scatter / stated |")
    print("|---|---|---|---|---|")
    for name, pairs in found.items():
        if len(pairs) < MOSTLY * len(starts):
            continue
        value, error = np.array(pairs).T
        known = exact is not None and name in exact
        deviation = np.abs(value - (exact[name] if known else value.mean()))
        if not known:  # the mean over n runs holds a share 1 / n of each
            deviation /= np.sqrt(1.0 - 1.0 / len(value))
        fraction = float(np.mean(deviation < error))
        ratio = np.std(value, ddof=1) / np.sqrt(np.mean(error**2))
        truth = "exact" if known else "mean"
        print(f"| {name} | {truth} | {len(pairs)} | {fraction:.2f} | {ratio:.2f} |")
        uncertain = np.sqrt(MIDDLE * (1.0 - MIDDLE) / len(pairs))
        if abs(fraction - MIDDLE) > SURE * uncertain:
            outside[name] = fraction
    assert len(found) > 8
    assert not outside


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_harmonic_crystal(tmp_path):
    runs = (harmonic.simulate(tmp_path / str(seed), seed) for seed in range(N_CHEAP))
    calibrate(runs, exact=harmonic.exact())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_lennard_jones_crystal(tmp_path):
    """Each run has velocities and a thermostat of its own: one noise would lead all to one path."""
    runs = (
        crystal.simulate(
            tmp_path / str(seed),
            seed=1000 + seed,
            production=f"fix bath all langevin 40 40 0.2 {5000 + seed}",
        )
        for seed in range(N_CHEAP)
    )
    calibrate(runs)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_nequip_crystal(tmp_path):
    model = learned_crystal.train(tmp_path)
    runs = (
        learned_crystal.simulate(model, tmp_path / str(seed), seed=1 + seed)
        for seed in range(N_LEARNED)
    )
    calibrate(runs)
