# SPDX-License-Identifier: GPL-2.0-or-later
"""How much faster LAMMPS runs on two ranks of one thread, and on one rank of two threads.

    python benchmarks/ranks.py --models mace nequip

4096 atoms of silicon, whole steps with everything that LAMMPS does, time from its own clock. The
three runs take turns, several times over; each figure is the best of its runs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import lammps_runs
from shapes import MODELS, export

LAYOUTS = ((1, 1), (2, 1), (1, 2))  # ranks, threads of each


def table(names: list[str], n_atoms: int, steps: int, turns: int, directory: Path) -> None:
    """Print whole-step and pair times of each layout, and the speed-up over one thread."""
    print(f"{'model':12s} {'atoms':>6s} ranks thr   us/step  pair us  speed-up", flush=True)
    system = lammps_runs.silicon(n_atoms)
    for name in names:
        model, _ = export(name, "float32", directory)
        runs = {layout: [] for layout in LAYOUTS}
        for _ in range(turns):
            for ranks, threads in LAYOUTS:
                runs[ranks, threads].append(
                    lammps_runs.run(
                        model, system, directory, steps=steps, ranks=ranks, threads=threads
                    )
                )
        alone = min(run.us for run in runs[LAYOUTS[0]])
        for (ranks, threads), done in runs.items():
            best = min(done, key=lambda run: run.us)
            print(
                f"{name:12s} {best.atoms:6d} {ranks:5d} {threads:3d} {best.us:9.1f}"
                f" {best.pair_us:8.1f} {alone / best.us:9.2f}",
                flush=True,
            )


def main() -> None:
    """Run what the command line asks for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=list(MODELS))
    parser.add_argument("--atoms", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        table(options.models, options.atoms, options.steps, options.turns, Path(directory))


if __name__ == "__main__":
    main()
