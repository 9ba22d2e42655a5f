# SPDX-License-Identifier: GPL-2.0-or-later
"""What a committee costs on two ranks: its members evaluated in turn, and together.

    python benchmarks/committee.py --models mace nequip

Together, members exchange features in common messages (``committee together`` of the pair style):
fewer messages, but all members' intermediate results at once. Both ways take turns, several times
over; each figure is the best of its runs.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

import lammps_runs
from shapes import MODELS, add_exports_option, export, exports_folder
from small_systems import MOLECULE, write_ethanol

WAYS = ("in_turn", "together")
EXCHANGING = sorted(set(MODELS) - {"allegro"})  # it is local: there are no messages to share
TURNS = 3


def table(names: list[str], members: int, seconds: float, directory: Path) -> None:
    """Print milliseconds per step of both ways, and how much longer together takes."""
    print(f"{'model':12s} atoms  in turn ms  together ms  ratio", flush=True)
    systems = [(write_ethanol(directory), MOLECULE)]
    systems += [(lammps_runs.silicon(n_atoms), ("Si",)) for n_atoms in (96, 1000)]
    for name in names:
        for system, elements in systems:
            model, _ = export(name, "float32", directory, elements=elements)
            run = functools.partial(
                lammps_runs.run,
                [model] * members,
                system,
                directory,
                ranks=2,
                elements=" ".join(elements),
                skin=2.0,
            )
            pilot = run(steps=3)
            steps = lammps_runs.steps_for(seconds, pilot, pilot.atoms, at_least=3, at_most=2000)
            best = dict.fromkeys(WAYS, float("inf"))
            for _ in range(TURNS):
                for way in WAYS:
                    found = run(steps=steps, options=f"committee {way}")
                    best[way] = min(best[way], found.us * found.atoms * 1e-3)
            in_turn, together = (best[way] for way in WAYS)
            print(
                f"{name:12s} {pilot.atoms:5d} {in_turn:11.2f} {together:12.2f}"
                f" {together / in_turn:6.2f}",
                flush=True,
            )


def main() -> None:
    """Run what the command line asks for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=EXCHANGING)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    add_exports_option(parser)
    options = parser.parse_args()
    with exports_folder(options) as directory:
        names = [name for name in options.models if name in EXCHANGING]
        table(names, options.members, options.seconds, directory)


if __name__ == "__main__":
    main()
