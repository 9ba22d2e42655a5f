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
import re
import subprocess
import tempfile
from pathlib import Path

from egraff.export import export_torchscript
from egraff.lammps import launch
from egraff.models import build
from egraff.models.presets import PRESETS

INPUT = """\
units           metal
atom_style      atomic
newton          on
lattice         diamond 5.43
region          box block 0 {nx} 0 {ny} 0 {nz}
create_box      1 box
create_atoms    1 box
mass            1 28.085
pair_style      egraff
pair_coeff      * * {model} Si
neighbor        0.5 bin
velocity        all create 300.0 1
fix             move all nve
thermo          {steps}
thermo_style    custom step atoms pe ke
run             {steps}
"""
NOTHING = 64


def cells(n_atoms: int) -> tuple[int, int, int]:
    """Return the numbers of cubic cells of 8 atoms along x, y and z that come close to a cube."""
    n_cells = max(1, round(n_atoms / 8))
    nx = max(1, round(n_cells ** (1 / 3)))
    ny = max(1, round((n_cells / nx) ** 0.5))
    return nx, ny, max(1, round(n_cells / (nx * ny)))


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


def run(model: Path, n_atoms: int, ranks: int, steps: int, directory: Path) -> dict[str, float]:
    """Run LAMMPS and return atoms, microseconds per atom and step, and peak bytes.

    Raises:
        SystemExit: LAMMPS failed; with the end of what it printed.
    """
    nx, ny, nz = cells(n_atoms)
    script = directory / "in.large"
    script.write_text(INPUT.format(model=model, nx=nx, ny=ny, nz=nz, steps=steps))
    command = launch.command_line(script.name, ranks=ranks)
    output = directory / "screen"
    peak = 0
    with output.open("w") as screen:
        process = subprocess.Popen(
            command, cwd=directory, env=launch.environment(1), stdout=screen, stderr=screen
        )
        while process.poll() is None:
            peak = max(peak, peak_bytes(process.pid))
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
    text = output.read_text()
    loop = re.search(r"Loop time of (\S+) on \d+ procs for \d+ steps with (\d+) atoms", text)
    if process.returncode or loop is None:
        raise SystemExit(
            f"expected a finished run, got status {process.returncode}:\n{text[-800:]}"
        )
    atoms = int(loop[2])
    return {"atoms": atoms, "us": float(loop[1]) / steps / atoms * 1e6, "peak": peak}


def main() -> None:
    """Run what the command line asks for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=sorted(PRESETS), default=["allegro", "mace"])
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
            eager = build(architecture, **{**PRESETS[architecture]["small"], **options}, seed=1)
            export_torchscript(eager, model, fuse=None)
            for ranks in arguments.ranks:
                idle = run(model, NOTHING, ranks, 1, directory)
                for n_atoms in arguments.atoms:
                    done = run(model, n_atoms, ranks, arguments.steps, directory)
                    marginal = (done["peak"] - idle["peak"]) / done["atoms"] / 1e3
                    print(
                        f"{architecture:12s} {done['atoms']:9d} {ranks:5d} {done['us']:13.1f}"
                        f" {done['peak'] / 1e9:9.2f} {marginal:17.1f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
