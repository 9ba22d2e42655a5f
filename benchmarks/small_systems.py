# SPDX-License-Identifier: GPL-2.0-or-later
"""What a step of a small system costs beside the model: a molecule of ethanol, and 96 atoms.

    python benchmarks/small_systems.py --models mace nequip

The pair style measures its time in the model (``compute pair egraff``); the rest of LAMMPS's loop
is neighbour list, graph, forces, time integration and communication.
"""

from __future__ import annotations

import functools
from pathlib import Path

import lammps_runs
from shapes import export, exports_folder, model_parser

ETHANOL = "data.ethanol"
MOLECULE = ("C", "H", "O")
TURNS = 3


def write_ethanol(directory: Path) -> str:
    """Write a molecule for LAMMPS and return the commands that read it."""
    from ase.build import molecule
    from ase.data import atomic_masses, atomic_numbers
    from ase.io import write

    atoms = molecule("CH3CH2OH", vacuum=10.0)
    atoms.pbc = True
    write(directory / ETHANOL, atoms, format="lammps-data", specorder=list(MOLECULE))
    masses = [
        f"mass {k} {atomic_masses[atomic_numbers[element]]:.3f}"
        for k, element in enumerate(MOLECULE, start=1)
    ]
    return "\n".join([f"read_data {ETHANOL}", *masses])


def table(names: list[str], seconds: float, directory: Path) -> None:
    """Print for each model and system the times of whole step and model, and their difference."""
    print(f"{'model':12s} atoms  step us  model us  other us   share", flush=True)
    systems = ((write_ethanol(directory), MOLECULE), (lammps_runs.silicon(96), ("Si",)))
    for name in names:
        for system, elements in systems:
            model, _ = export(name, "float32", directory, elements=elements)
            run_steps = functools.partial(
                lammps_runs.run, model, system, directory, elements=" ".join(elements), skin=2.0
            )
            pilot = run_steps(steps=3)
            steps = lammps_runs.steps_for(seconds, pilot, pilot.atoms, at_least=3, at_most=5000)
            runs = [run_steps(steps=steps) for _ in range(TURNS)]
            # what other programs take from a step is no part of it
            run = min(runs, key=lambda run: run.us)
            step, inside = run.us * run.atoms, run.model_us * run.atoms
            print(
                f"{name:12s} {run.atoms:5d} {step:8.0f} {inside:9.0f} {step - inside:9.0f}"
                f" {100 * (1 - inside / step):6.1f} %",
                flush=True,
            )


def main() -> None:
    """Run what the command line asks for and print a table."""
    parser = model_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    options = parser.parse_args()
    with exports_folder(options) as directory:
        table(options.models, options.seconds, directory)


if __name__ == "__main__":
    main()
