# SPDX-License-Identifier: GPL-2.0-or-later
"""A system that does not fit into memory: what was too large, and what to do, on any rank."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.pair_style.conftest import SETUP, STYLE
from tests.pair_style.engine import BIN

LIMIT_KB = 3_000_000
LARGE = SETUP + "replicate 10 10 10\n" + STYLE.replace("m.pt", "wide.pt")


def run_limited(script, directory, *, ranks):
    """Run a script whose processes may have 3 GB of address space each."""
    (directory / "in.lammps").write_text(script)
    launcher = f"{BIN / 'mpirun'} -n {ranks} " if ranks > 1 else ""
    return subprocess.run(
        ["bash", "-c", f"ulimit -v {LIMIT_KB}; {launcher}{BIN / 'lmp'} -in in.lammps"],
        cwd=directory,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("ranks", [1, 2])
def test_too_large_a_system(here, ranks):
    fits = run_limited(LARGE.replace("10 10 10", "2 2 2") + "run 0\n", here, ranks=ranks)
    assert fits.returncode == 0, fits.stdout[-2000:] + fits.stderr[-2000:]
    done = run_limited(LARGE + "run 0\n", here, ranks=ranks)
    assert done.returncode != 0
    text = " ".join((done.stdout + done.stderr).split())
    found = re.search(
        r"wide.pt: expected memory for (\d+) atoms \(ghosts included\) and (\d+) edges in one "
        r"process, got less fix: share the system among more nodes, use fewer ranks and more "
        r"threads on each \(a rank's ghost atoms need memory, too\), or export the model with "
        r"--dtype float32 and without --no-fuse",
        text,
    )
    assert found, text[-3000:]
    assert int(found[1]) >= 40_000 / ranks
    assert int(found[2]) > int(found[1])
