# SPDX-License-Identifier: GPL-2.0-or-later
"""The system and the clock of all engine measurements, ours and other programs'.

The runners in ``external/`` import this module inside other programs' environments: it needs only
numpy and ASE beyond the standard library.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

R_MAX = 5.0
"""Cutoff in Angstrom."""
NEIGHBOURS = 28.0
"""Directed edges per atom of :func:`silicon` at that cutoff."""
QUIET = 0.15
"""Cores that other processes may use while a figure still counts as quiet."""


def silicon(n_atoms: int):
    """Return diamond silicon of ``n_atoms`` = 8 k^3 atoms, displaced by 0.05 Angstrom.

    Raises:
        SystemExit: there is no cube of so many atoms.
    """
    import numpy as np
    from ase.build import bulk

    k = round((n_atoms / 8) ** (1 / 3))
    if 8 * k**3 != n_atoms:
        raise SystemExit(f"expected 8 k^3 atoms (8, 64, 512, 4096, ...), got {n_atoms}")
    atoms = bulk("Si", "diamond", a=5.43, cubic=True).repeat(k)
    atoms.positions += np.random.default_rng(0).normal(0, 0.05, atoms.positions.shape)
    return atoms


def busy() -> float:
    """Return the CPU seconds that all processes have used since the machine started."""
    with open("/proc/stat") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def resident() -> int:
    """Return the memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def peak_resident() -> int:
    """Return the largest memory of this program so far in bytes.

    Not ``ru_maxrss``, which begins with the memory of the process that started this one.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def repeat(step: Callable[[], object], n_atoms: int, seconds: float) -> dict[str, float]:
    """Call ``step`` once to warm up, then for ``seconds`` and at least twice.

    Returns:
        Per atom and step: ``us_min`` and ``us_med`` of wall clock and ``cpu_us_min`` of processor
        time in microseconds; ``kB_per_atom``, the growth of the process to its peak; ``others``,
        the mean number of cores that other processes used; ``steps``.
    """
    before = resident()
    step()
    wall, cpu, others = [], [], []
    end = time.perf_counter() + seconds
    while len(wall) < 2 or time.perf_counter() < end:
        start = time.perf_counter(), time.process_time(), busy()
        step()
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
        others.append((busy() - start[2] - cpu[-1]) / wall[-1])
    return {
        "us_min": min(wall) / n_atoms * 1e6,
        "us_med": sorted(wall)[len(wall) // 2] / n_atoms * 1e6,
        "cpu_us_min": min(cpu) / n_atoms * 1e6,
        "kB_per_atom": (peak_resident() - before) / n_atoms / 1e3,
        "others": max(0.0, sum(others) / len(others)),
        "steps": len(wall),
    }


def report(result: dict[str, float]) -> None:
    """Print a result as the line that the benchmark waits for."""
    print("RESULT", json.dumps(result), flush=True)
