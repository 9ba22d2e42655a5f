# SPDX-License-Identifier: GPL-2.0-or-later
"""Time per atom and step, and memory per atom, of exported models: fused, plain, other programs.

    python benchmarks/engine.py --models nequip mace --sizes 512 4096 --threads 1 2

The system is diamond silicon, atoms displaced by 0.05 Angstrom, cutoff 5 Angstrom: 28 directed
edges per atom. A step is one evaluation of energy and forces with a fixed list of edges, as in
LAMMPS between two rebuilds. Every measurement is a process of its own. Ours and what it is compared
with take turns (ours, theirs, ours), so that both see the same machine; ``others`` is the number of
cores that other processes used meanwhile, and figures with more than 0.15 there are not quiet.

Other programs join by the Python of their environment (README.md beside this file):

    --external symmetrix-xl=ENV/bin/python nequip=ENV/bin/python
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from pathlib import Path

import others
from processes import model_file
from shapes import MODELS, export, exports_folder, fusible, model_parser

HEADER = f"{'model':22s} dtype     atoms thr   us/min    us/med    cpu us   kB/atom others"
Measure = Callable[[], dict[str, float] | None]


def show(dtype: str, n: int, threads: int, label: str, result: dict[str, float]) -> None:
    """Print one line of the table."""
    cells = [f"{label:22s} {dtype} {n:7d} {threads:2d}"]
    cells += [f"{result[key]:9.1f}" for key in ("us_min", "us_med", "cpu_us_min", "kB_per_atom")]
    print(" ".join([*cells, f"{result['others']:6.2f}"]), flush=True)


def ratios(before: dict[str, float], theirs: dict[str, float], after: dict[str, float]) -> str:
    """Compare one of theirs with the mean of two of ours, by wall clock and by processor time."""

    def ratio(key: str) -> float:
        return 2 * theirs[key] / (before[key] + after[key])

    return f"{ratio('us_min'):.2f} x (by CPU time {ratio('cpu_us_min'):.2f} x)"


def compare(
    rows: dict[str, Measure], ours: str, show_row: Callable[[str, dict[str, float]], None]
) -> None:
    """Measure ours before and after each of the others, show all and print the ratios.

    Args:
        rows: what to measure, by label.
        ours: the label of ours.
        show_row: prints one result.
    """
    before = rows[ours]()
    if before is not None:
        show_row(ours, before)
    for label, measure in rows.items():
        if label == ours:
            continue
        theirs = measure()
        if theirs is None:
            continue
        show_row(label, theirs)
        after = rows[ours]()
        if before is not None and after is not None:
            show_row(ours, after)
            print(f"#   {label} / {ours} = {ratios(before, theirs, after)}", flush=True)
        before = after


def table(
    names: list[str],
    sizes: list[int],
    threads: list[int],
    dtype: str,
    forms: list[str],
    externals: list[others.External],
    plain: list[str],
    plain_largest: int,
    seconds: float,
    directory: Path,
) -> None:
    """Print the table of one dtype, and how long the exports took."""
    files: dict[str, dict[str, Path]] = {}
    for name in names:
        kinds = [("fused", True)] if fusible(name) else []
        if name in plain or not kinds:
            kinds.append(("plain", False))
        files[name] = {}
        for kind, fuse in kinds:
            for form in forms:
                path, taken = export(name, dtype, directory, form=form, fuse=fuse)
                label = f"{name} {kind}" + ("" if form == "torchscript" else f" {form}")
                if taken:
                    print(f"# {label} exported in {taken:.1f} s", flush=True)
                files[name][label] = path
    print(HEADER, flush=True)
    for n in sizes:
        for count in threads:
            for name in names:
                rows: dict[str, Measure] = {
                    label: functools.partial(model_file, path, n, count, seconds)
                    for label, path in files[name].items()
                    if " plain" not in label or n <= plain_largest
                }
                if not rows:
                    continue
                for external in externals:
                    fits = external.program.architecture == name and dtype == "float32"
                    if fits and n <= external.program.largest:
                        rows[external.name] = functools.partial(external.measure, n, count, seconds)
                compare(rows, next(iter(rows)), functools.partial(show, dtype, n, count))


def main() -> None:
    """Measure what the command line asks for and print tables."""
    parser = model_parser(__doc__, ["nequip", "mace"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[512, 4096])
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "float64"], default=["float32"])
    parser.add_argument(
        "--formats", nargs="+", choices=["torchscript", "aoti"], default=["torchscript"]
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="per measurement")
    parser.add_argument(
        "--plain", nargs="*", choices=sorted(MODELS), help="models whose plain graph is measured"
    )
    parser.add_argument(
        "--plain-largest",
        type=int,
        default=512,
        help="atoms; a step may take a minute",
    )
    parser.add_argument("--external", nargs="+", default=[], metavar="NAME=PYTHON")
    parser.add_argument(
        "--cache", type=Path, default=Path("build/benchmarks"), help="other programs' models"
    )
    options = parser.parse_args()
    try:
        externals = others.parse(options.external, options.cache)
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    for external in externals:
        external.prepare()
    plain = options.models if options.plain is None else options.plain
    with exports_folder(options) as directory:
        for dtype in options.dtypes:
            table(
                options.models, options.sizes, options.threads, dtype, options.formats, externals,
                plain, options.plain_largest, options.seconds, directory,
            )  # fmt: skip


if __name__ == "__main__":
    main()
