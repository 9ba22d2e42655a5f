# SPDX-License-Identifier: GPL-2.0-or-later
"""symmetrix-xl 0.1.1 with its AVX-512 backend, through its ASE calculator.

Its steps include what the calculator does besides: it has no other public interface. The skin is
0.05 Angstrom and atoms move by 1e-4, so that the list of neighbours is kept, as in LAMMPS between
rebuilds, and holds no pairs beyond the cutoff: faster than its default of 0.5 Angstrom.

The first ``prepare`` compiles the C++ that symmetrix generates for the model, which takes minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import arguments
import mace_model

SKIN = 0.05
MOVE = 1e-4


def prepare(folder: Path) -> None:
    model, written = folder / "mace.pt", folder / "mace.json"
    if not written.exists():
        mace_model.prepare(folder)
        extract = Path(sys.executable).with_name("symmetrix_extract_mace")
        # its own program opens the pickled model, which was written by the line above
        environment = {**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
        subprocess.run([extract, "-m", model, "-o", written], check=True, env=environment)
    start = time.perf_counter()
    step = make_step(arguments.timing.silicon(64), 1, folder)
    step()
    print(f"symmetrix is ready after {time.perf_counter() - start:.0f} s of compiling and loading")


def make_step(atoms, threads: int, folder: Path) -> Callable[[], object]:
    import numpy as np
    from symmetrix import Symmetrix

    atoms.calc = Symmetrix(str(folder / "mace.json"), dtype="float32", neighbor_skin=SKIN)
    start, random = atoms.positions.copy(), np.random.default_rng(1)

    def step() -> None:
        atoms.positions = start + random.normal(0, MOVE, start.shape)
        atoms.get_potential_energy()
        atoms.get_forces()

    return step


arguments.main(prepare, make_step)
