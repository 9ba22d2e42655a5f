# SPDX-License-Identifier: GPL-2.0-or-later
"""What the runners in this folder have in common: their command line and their clock.

Each runner is started by the Python of the other program's environment:

    PYTHON external/NAME.py prepare FOLDER           # build or compile the model, once
    PYTHON external/NAME.py N_ATOMS THREADS SECONDS FOLDER   # prints a RESULT line

The models have the shapes of ``models.py`` with random weights, in float32.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import timing


def main(
    prepare: Callable[[Path], None], make_step: Callable[[Any, int, Path], Callable[[], object]]
) -> None:
    """Prepare the model or measure it, as the command line says.

    Args:
        prepare: writes what takes long to make into a folder; returns at once if it is there.
        make_step: from the atoms, threads and that folder, returns what computes energy and forces.
    """
    warnings.filterwarnings("ignore")
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]))
        return
    n_atoms, threads, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    # before torch and numpy start their threads
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    step = make_step(timing.silicon(n_atoms), threads, Path(sys.argv[4]))
    timing.report(timing.repeat(step, n_atoms, seconds))
