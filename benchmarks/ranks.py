# SPDX-License-Identifier: GPL-2.0-or-later
"""How much faster LAMMPS runs on two ranks of one thread, and on one rank of two threads.

    python benchmarks/ranks.py --models mace nequip

4096 atoms of silicon, whole steps with everything that LAMMPS does, time from its own clock. The
three runs take turns, several times over; each figure is the best of its runs.
"""

from __future__ import annotations

from pathlib import Path

import lammps_runs
from shapes import export, exports_folder, fusible, model_parser

LAYOUTS = ((1, 1), (2, 1), (1, 2))  # ranks, threads of each


def table(names: list[str], n_atoms: int, seconds: float, turns: int, directory: Path) -> None:
    """Print whole-step and pair times of each layout, and the speed-up over one thread."""
    print(f"{'model':12s} {'atoms':>6s} ranks thr   us/step  pair us  speed-up", flush=True)
    system = lammps_runs.silicon(n_atoms)
    for name in names:
        if not fusible(name):
            print(f"#   {name}: no fused operators, left out", flush=True)
            continue
        model, _ = export(name, "float32", directory)
        pilot = lammps_runs.run(model, lammps_runs.silicon(512), directory, steps=3)
        steps = lammps_runs.steps_for(seconds, pilot, n_atoms, at_least=2, at_most=20)
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
    parser = model_parser(__doc__)
    parser.add_argument("--atoms", type=int, default=4096)
    parser.add_argument("--seconds", type=float, default=3.0, help="on one thread, of each run")
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    with exports_folder(options) as directory:
        table(options.models, options.atoms, options.seconds, options.turns, directory)


if __name__ == "__main__":
    main()
