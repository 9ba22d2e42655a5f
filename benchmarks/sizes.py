# SPDX-License-Identifier: GPL-2.0-or-later
"""Cost and memory per atom against the number of atoms, as a table and a figure.

    python benchmarks/sizes.py --largest 100000 --figure sizes.png

Whole LAMMPS runs of silicon on one thread. A size is left out where the one before tells that it
would take longer than ``--budget`` seconds or more memory than is free. ``growth`` compares the
largest size of up to about 100,000 atoms with 512 atoms.
"""

from __future__ import annotations

from pathlib import Path

import lammps_runs
from lammps_runs import Run
from shapes import export, exports_folder, model_parser

START = 64
# between which sizes costs are compared; crystals come out a few per cent larger than asked for
GROWTH = (512, 110_000)


def sizes_up_to(largest: int) -> list[int]:
    """Return 64, 512, 4096, 32768, ... and the largest."""
    sizes = [size for size in (START * 8**k for k in range(8)) if size < largest]
    return [*sizes, largest]


def free_bytes() -> int:
    """Return the memory that a new program may take."""
    text = Path("/proc/meminfo").read_text()
    return 1024 * int(text.split("MemAvailable:")[1].split()[0])


def marginal(run: Run, smallest: Run) -> float:
    """Return bytes per atom beyond what the smallest run takes, programs and weights."""
    return (run.peak - smallest.peak) / (run.atoms - smallest.atoms)


def growth(runs: list[Run]) -> tuple[Run, Run] | None:
    """Return the runs nearest to both ends of :data:`GROWTH`, or None without two."""
    inside = [run for run in runs if GROWTH[0] <= run.atoms <= GROWTH[1]]
    return (inside[0], inside[-1]) if len(inside) > 1 else None


def too_much(n_atoms: int, steps: int, runs: list[Run], budget: float) -> str | None:
    """Tell from the runs before why a size is left out, or None."""
    if len(runs) < 2:
        return None
    seconds = (steps + 1) * n_atoms * runs[-1].us * 1e-6
    needed = runs[0].peak + n_atoms * marginal(runs[-1], runs[0])
    if seconds > budget:
        return f"would take {seconds:.0f} s"
    if needed > 0.8 * free_bytes():
        return f"would take {needed / 1e9:.1f} GB"
    return None


def table(
    names: list[str], largest: int, budget: float, directory: Path, figure: Path | None
) -> None:
    """Print the table, and draw the figure."""
    print(f"{'model':12s} {'atoms':>9s}  us/atom/step   peak GB  marginal kB/atom", flush=True)
    results: dict[str, list[Run]] = {}
    for name in names:
        model, _ = export(name, "float32", directory)
        runs = results[name] = []
        for n_atoms in sizes_up_to(largest):
            steps = max(2, min(200, 16_000 // n_atoms))
            if reason := too_much(n_atoms, steps, runs, budget):
                print(f"#   {name}: {n_atoms} atoms left out, {reason}", flush=True)
                break
            run = lammps_runs.run(model, lammps_runs.silicon(n_atoms), directory, steps=steps)
            runs.append(run)
            kilobytes = f"{marginal(run, runs[0]) / 1e3:17.1f}" if len(runs) > 1 else ""
            print(
                f"{name:12s} {run.atoms:9d} {run.us:13.1f} {run.peak / 1e9:9.2f} {kilobytes}",
                flush=True,
            )
        if ends := growth(runs):
            first, last = ends
            print(
                f"#   {name}: {100 * (last.us / first.us - 1):+.0f} % growth of cost per atom"
                f" from {first.atoms} to {last.atoms} atoms",
                flush=True,
            )
    if figure is not None:
        draw(results, figure)
        print(f"# figure in {figure}", flush=True)


def draw(results: dict[str, list[Run]], figure: Path) -> None:
    """Draw time and memory per atom against the number of atoms."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    canvas, (left, right) = pyplot.subplots(
        1, 2, figsize=(9, 3.6), sharex=True, layout="constrained"
    )
    for name, runs in results.items():
        left.plot([run.atoms for run in runs], [run.us for run in runs], "o-", label=name, ms=4)
        later = runs[1:]
        right.plot(
            [run.atoms for run in later],
            [marginal(run, runs[0]) / 1e3 for run in later],
            "o-", label=name, ms=4,
        )  # fmt: skip
    for axes, what in ((left, "time per atom and step, µs"), (right, "memory per atom, kB")):
        axes.set(xscale="log", yscale="log", xlabel="atoms", ylabel=what)
        # at least a decade, or the axis magnifies noise
        low, high = axes.get_ylim()
        axes.set_ylim(low / 2, high * 2)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, fontsize=8)
    canvas.savefig(figure, dpi=160)
    pyplot.close(canvas)


def main() -> None:
    """Run what the command line asks for, print a table and draw a figure."""
    parser = model_parser(__doc__)
    parser.add_argument("--largest", type=int, default=100_000, help="atoms")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for one size")
    parser.add_argument("--figure", type=Path, default=Path("sizes.png"))
    options = parser.parse_args()
    with exports_folder(options) as directory:
        table(options.models, options.largest, options.budget, directory, options.figure)


if __name__ == "__main__":
    main()
