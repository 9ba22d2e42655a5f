# SPDX-License-Identifier: GPL-2.0-or-later
"""Time and memory per atom of whole LAMMPS runs, up to the largest system that fits.

    python benchmarks/large_system.py --models allegro mace --atoms 4096 100000 --ranks 1 2

The system is diamond silicon at 300 K, cutoff 5 Angstrom, 28 edges per atom; the models are the
`small` presets with random weights, as `egraff export` writes them. Time is LAMMPS's own for the
steps after the first evaluation. Memory is the peak of all ranks together over the whole run;
``marginal`` subtracts what the same run takes with 64 atoms, that is programs and weights.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import lammps_runs

from egraff.export import export_torchscript
from egraff.models import ARCHITECTURES, build, preset

NOTHING = 64


def main() -> None:
    """Run what the command line asks for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--models", nargs="+", choices=sorted(ARCHITECTURES), default=["allegro", "mace"]
    )
    parser.add_argument("--atoms", nargs="+", type=int, default=[4096, 100000])
    parser.add_argument("--ranks", nargs="+", type=int, default=[1])
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args()
    print(f"# {os.cpu_count()} cores; one thread per rank; `small` presets, float32")
    print(
        f"{'model':12s} {'atoms':>9s} ranks  us/atom/step   peak GB  marginal kB/atom", flush=True
    )
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for architecture in arguments.models:
            model = directory / f"{architecture}.egraff.pt"
            options = {"elements": ["Si"], "r_max": 5.0, "avg_num_neighbours": 28.0}
            eager = build(architecture, **{**preset(architecture, "small"), **options}, seed=1)
            export_torchscript(eager, model, fuse=None)
            for ranks in arguments.ranks:
                silicon = lammps_runs.silicon(NOTHING)
                idle = lammps_runs.run(model, silicon, directory, steps=1, ranks=ranks)
                for n_atoms in arguments.atoms:
                    silicon = lammps_runs.silicon(n_atoms)
                    done = lammps_runs.run(
                        model, silicon, directory, steps=arguments.steps, ranks=ranks
                    )
                    marginal = (done.peak - idle.peak) / done.atoms / 1e3
                    print(
                        f"{architecture:12s} {done.atoms:9d} {ranks:5d} {done.us:13.1f}"
                        f" {done.peak / 1e9:9.2f} {marginal:17.1f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
