# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole LAMMPS runs in processes of their own, and what is read off what they print."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from egraff.lammps import launch

SILICON = """\
lattice         diamond 5.43
region          box block 0 {nx} 0 {ny} 0 {nz}
create_box      1 box
create_atoms    1 box
mass            1 28.085
"""

# `compute pair` gives the seconds that the pair style spent in the model so far. Forces of random
# weights may be wild: so short a step keeps the crystal whatever they are, and the list of
# neighbours is rebuilt as often as in an ordinary run.
INPUT = """\
units           metal
atom_style      atomic
newton          on
{system}
pair_style      egraff {options}
pair_coeff      * * {models} {elements}
neighbor        {skin} bin
velocity        all create 300.0 1
timestep        0.000001
neigh_modify    every 20 delay 0 check no
fix             move all nve
compute         model all pair egraff
thermo          {steps}
thermo_style    custom step atoms pe ke c_model[1]
thermo_modify   format 5 %.9g
run             {steps}
"""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        atoms: their number.
        us: microseconds of LAMMPS's loop, per atom and step.
        pair_us: of its pair style, the mean over ranks.
        model_us: of the model within the pair style, on the first rank.
        peak: bytes of all ranks together at their largest.
    """

    atoms: int
    us: float
    pair_us: float
    model_us: float
    peak: int


def steps_for(seconds: float, pilot: Run, n_atoms: int, *, at_least: int, at_most: int) -> int:
    """Return how many steps of so many atoms take about ``seconds``, told from a short run."""
    return int(min(at_most, max(at_least, seconds / (n_atoms * pilot.us * 1e-6))))


def cells(n_atoms: int) -> tuple[int, int, int]:
    """Return the numbers of cubic cells of 8 atoms along x, y and z that come close to a cube."""
    n_cells = max(1, round(n_atoms / 8))
    nx = max(1, round(n_cells ** (1 / 3)))
    ny = max(1, round((n_cells / nx) ** 0.5))
    return nx, ny, max(1, round(n_cells / (nx * ny)))


def silicon(n_atoms: int) -> str:
    """Return the commands that make about so many atoms of diamond silicon."""
    nx, ny, nz = cells(n_atoms)
    return SILICON.format(nx=nx, ny=ny, nz=nz)


def peak_bytes(pid: int) -> int:
    """Return the largest memory so far of a process and of its descendants, added up."""
    total = 0
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        total += 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, TypeError):
        return total
    return total + sum(peak_bytes(int(child)) for child in children)


def parse(text: str, peak: int) -> Run:
    """Read the screen output of :data:`INPUT`.

    Raises:
        ValueError: it is not that of a finished run; with its end.
    """
    loop = re.search(r"Loop time of (\S+) on \d+ procs for (\d+) steps with (\d+) atoms", text)
    pair = re.search(r"^Pair\s+\|\s*\S+\s*\|\s*(\S+)", text, re.MULTILINE)
    table = re.search(r"c_model\[1\]\s*\n(.*?)\nLoop time", text, re.DOTALL)
    if loop is None or pair is None or table is None:
        raise ValueError(f"expected a finished run, got:\n{text[-800:]}")
    seconds = [float(line.split()[4]) for line in table[1].splitlines()]
    steps, atoms = int(loop[2]), int(loop[3])
    scale = 1e6 / (steps * atoms)
    return Run(
        atoms,
        float(loop[1]) * scale,
        float(pair[1]) * scale,
        (seconds[-1] - seconds[0]) * scale,
        peak,
    )


def run(
    model: Path | list[Path],
    system: str,
    directory: Path,
    *,
    steps: int,
    ranks: int = 1,
    threads: int = 1,
    elements: str = "Si",
    skin: float = 0.5,
    options: str = "",
) -> Run:
    """Run LAMMPS.

    Args:
        model: the exported file, or those of a committee.
        system: commands that make box, atoms and masses.
        directory: where to run.
        steps: how many; the evaluation before the first one is not timed.
        ranks: MPI processes.
        threads: threads of each.
        elements: of the atom types, in their order.
        skin: of the neighbour list, in Angstrom.
        options: of the pair style.

    Raises:
        SystemExit: LAMMPS failed; with the end of what it printed.
    """
    script, output = directory / "in.benchmark", directory / "screen"
    script.write_text(
        INPUT.format(
            system=system,
            options=options,
            models=" ".join(str(path) for path in (model if isinstance(model, list) else [model])),
            elements=elements,
            skin=skin,
            steps=steps,
        )
    )
    peak = 0
    with output.open("w") as screen:
        process = subprocess.Popen(
            launch.command_line(script.name, ranks=ranks),
            cwd=directory, env=launch.environment(threads), stdout=screen, stderr=screen,
        )  # fmt: skip
        while process.poll() is None:
            peak = max(peak, peak_bytes(process.pid))
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
    try:
        return parse(output.read_text(), peak)
    except ValueError as error:
        raise SystemExit(f"LAMMPS ended with status {process.returncode}: {error}") from error
