# SPDX-License-Identifier: GPL-2.0-or-later
"""Large arrays of a step are used again by the next one: the same results, in the same memory."""

from __future__ import annotations

import re

import numpy as np

from tests.pair_style.conftest import SETUP, STYLE
from tests.pair_style.engine import must_run

# copies of a crystal move as it does: its small arrays are not the pool's, those of 27 copies are
COPIES = 27
RUN = """
fix move all nve
neigh_modify every 3 delay 0 check no
thermo 1
thermo_style custom step pe
thermo_modify format float %.16g
run {steps}
shell "grep VmHWM /proc/$PPID/status"
"""


def script(steps, *, copies=1):
    """Return a run of so many copies, with a model whose arrays of edges are large."""
    replicate = "replicate 3 3 3\n" if copies == COPIES else ""
    system = SETUP + "velocity all create 300.0 1\n" + replicate
    return system + STYLE.replace("m.pt", "wide.pt") + RUN.format(steps=steps)


def energies(screen: str) -> np.ndarray:
    """Return the energy at each step."""
    rows = screen.split("PotEng")[1].split("Loop time")[0].split("\n")[1:]
    return np.array([float(row.split()[1]) for row in rows if row.strip()])


def peak_kilobytes(screen: str) -> int:
    """Return the largest memory that the run has had."""
    return int(re.search(r"VmHWM:\s+(\d+)", screen)[1])


def test_results_and_memory_step_after_step(here):
    one = must_run(script(12), here)
    first = must_run(script(0, copies=COPIES), here)
    many = must_run(script(12, copies=COPIES), here)
    np.testing.assert_allclose(energies(many), COPIES * energies(one), rtol=1e-11)
    assert np.ptp(energies(one)) > 1e-3  # something has moved
    assert peak_kilobytes(first) > peak_kilobytes(one) + 100_000  # arrays were large
    # the C library keeps some, too; pages of each step would be ten times as much
    assert peak_kilobytes(many) < 1.6 * peak_kilobytes(first)
