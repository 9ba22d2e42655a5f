# SPDX-License-Identifier: GPL-2.0-or-later
"""What a step of a small system costs beside the model: a molecule of ethanol, and 96 atoms.

    python benchmarks/small_systems.py --models mace nequip

The pair style measures its time in the model (``compute pair egraff``); the rest of LAMMPS's loop
is neighbour list, graph, forces, time integration and communication.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import lammps_runs
from shapes import MODELS, export, fusible

ETHANOL = "data.ethanol"
MOLECULE = ("C", "H", "O")


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


def table(names: list[str], steps: int, directory: Path) -> None:
    """Print for each model and system the times of whole step and model, and their difference."""
    print(f"{'model':12s} atoms  step us  model us  other us   share", flush=True)
    systems = ((write_ethanol(directory), MOLECULE), (lammps_runs.silicon(96), ("Si",)))
    for name in names:
        few = steps if fusible(name) else max(1, steps // 15)
        for system, elements in systems:
            model, _ = export(name, "float32", directory, elements=elements)
            run = lammps_runs.run(
                model, system, directory, steps=few, elements=" ".join(elements), skin=2.0
            )
            step, inside = run.us * run.atoms, run.model_us * run.atoms
            print(
                f"{name:12s} {run.atoms:5d} {step:8.0f} {inside:9.0f} {step - inside:9.0f}"
                f" {100 * (1 - inside / step):6.1f} %",
                flush=True,
            )


def main() -> None:
    """Run what the command line asks for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=list(MODELS))
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        table(options.models, options.steps, Path(directory))


if __name__ == "__main__":
    main()
