# SPDX-License-Identifier: GPL-2.0-or-later
"""`lmp` on a GPU, beyond the grid of tests/pair_style/test_grid.py. `make test-gpu` runs these."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pair_style.conftest import SETUP, START
from tests.pair_style.engine import must_fail, must_run, read_dump, run_lmp

pytestmark = pytest.mark.gpu
RANKS = pytest.mark.parametrize("ranks", [1, 2])
STYLE = """
pair_style egraff device {device} {options}
pair_coeff * * {models} O H
"""
NVE = """
velocity all create 300 1
fix nve all nve
timestep 0.0002
thermo_style custom step pe etotal
dump d all custom 200 d.dump id x y z fx fy fz
dump_modify d sort id format float %.15g
run 200
print "$(pe:%.15g)" file pe.txt
"""


def style(device: str, models: str = "m.pt", options: str = "") -> str:
    return STYLE.format(device=device, models=models, options=options)


@RANKS
def test_a_trajectory_is_that_of_the_cpu(here, ranks):
    energies = []
    for device in ("cpu", "cuda"):
        text = must_run(SETUP + style(device) + NVE, here, ranks=ranks)
        energies.append(float((here / "pe.txt").read_text()))
    assert "device cuda:0" in text
    assert energies[0] == pytest.approx(energies[1], rel=1e-8)


@RANKS
def test_committees(here, ranks):
    measure = """
compute deviation all egraff/atom deviation
compute charge all egraff/atom charge
dump d all custom 1 c.dump id fx fy fz c_deviation c_charge
dump_modify d sort id format float %.15g
run 0
"""
    found = {}
    for device in ("cpu", "cuda"):
        script = SETUP + style(device, "m.pt second.pt third.pt", "devi_freq 1") + measure
        must_run(script, here, ranks=ranks)
        found[device] = read_dump(here / "c.dump")
    for column, values in found["cpu"].items():
        assert np.abs(found["cuda"][column] - values).max() < 1e-9, column


def test_ranks_that_share_a_gpu_are_warned_of(here):
    assert "2 rank(s) share 1 GPU(s) of this node" in must_run(START + "run 0\n", here, ranks=2)
    assert "share" not in must_run(START + "run 0\n", here)


def test_a_gpu_that_does_not_exist(here):
    assert "got cuda:7" in must_fail(SETUP + style("cuda:7") + "run 0\n", here)


@RANKS
def test_a_gpu_that_is_too_small(here, ranks):
    """A hundredth of its memory: what is too much for it ends all ranks, with the numbers."""
    script = SETUP + style("cuda", "wide.pt").replace("\n", "\nreplicate 24 24 24\n", 1) + "run 0\n"
    done = run_lmp(
        script, here, ranks=ranks, PYTORCH_CUDA_ALLOC_CONF="per_process_memory_fraction:0.01"
    )
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "expected memory for" in text
