# SPDX-License-Identifier: GPL-2.0-or-later
"""Time per atom and step, and memory per atom, of exported models: plain against fused.

    python benchmarks/engine.py --models nequip mace --sizes 512 4096 --threads 1 2

The system is diamond silicon, atoms displaced by 0.05 Angstrom, cutoff 5 Angstrom: 28 directed
edges per atom. A step is one evaluation of energy and forces with a fixed list of edges, as in
LAMMPS between two rebuilds. Every measurement is a process of its own. Plain and fused take turns,
so that both see the same machine; ``others`` is the number of cores that other processes used
meanwhile, and figures with more than 0.15 there are not quiet.

Other programs join in the same run by a command that prints a line ``RESULT {"us_min": ...}``:

    --external "nequip=/path/to/python nequip_anchor.py nequip aoti float32 {threads} {n}"
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODELS = {
    "nequip": {
        "n_layers": 3,
        "l_max": 2,
        "n_features": 32,
        "parity": True,
        "n_bessel": 8,
        "radial_depth": 2,
        "radial_width": 64,
    },
    "mace": {
        "n_layers": 2,
        "l_max": 3,
        "hidden_irreps": "64x0e + 64x1o",
        "correlation": 3,
        "n_radial": 8,
    },
    "botnet": {},
    "allegro": {
        "n_layers": 2,
        "l_max": 2,
        "n_scalar_features": 64,
        "n_tensor_features": 32,
        "embedding_hidden": [64, 64],
        "latent_hidden": [64, 64],
    },
    "torchmd_net": {"hidden_channels": 128, "num_layers": 6, "num_heads": 8, "num_rbf": 64},
    "equiformer": {},
}
R_MAX = 5.0
NEIGHBOURS = 28.0


def silicon(n_atoms: int):
    """Return diamond silicon with ``n_atoms`` = 8 k^3 displaced atoms."""
    import numpy as np
    from ase.build import bulk

    k = round((n_atoms / 8) ** (1 / 3))
    if 8 * k**3 != n_atoms:
        raise SystemExit(f"--sizes: expected 8 k^3 atoms (8, 64, 512, 4096, ...), got {n_atoms}")
    atoms = bulk("Si", "diamond", a=5.43, cubic=True).repeat(k)
    atoms.positions += np.random.default_rng(0).normal(0, 0.05, atoms.positions.shape)
    return atoms


def export(name: str, dtype: str, directory: Path, formats: list[str]) -> dict[str, Path]:
    """Write a model of random weights, plain and, where there are operators for it, fused."""
    from egraff.export import export_torchscript
    from egraff.export_aoti import export_aoti
    from egraff.fuse import can_fuse
    from egraff.models import build

    options = {"elements": ["Si"], "r_max": R_MAX, "avg_num_neighbours": NEIGHBOURS}
    model = build(name, seed=1, dtype=dtype, **{**MODELS[name], **options})
    files = {}
    for kind in ("plain", "fused") if can_fuse(model) else ("plain",):
        for form in formats:
            label = kind if form == "torchscript" else f"{kind} {form}"
            path = directory / f"{name}-{dtype}-{kind}.egraff.{'pt2' if form == 'aoti' else 'pt'}"
            start = time.perf_counter()
            write = export_aoti if form == "aoti" else export_torchscript
            write(model, path, fuse=kind == "fused")
            print(f"# {path.name} written in {time.perf_counter() - start:.1f} s", flush=True)
            files[label] = path
    return files


def busy() -> float:
    """Return the CPU seconds that all processes have used since the machine started."""
    with open("/proc/stat") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def resident() -> int:
    """Return the memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def peak_resident() -> int:
    """Return the largest memory of this program so far in bytes.

    Not ``ru_maxrss``, which begins with the memory of the process that started this one.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def measure(path: str, n_atoms: int, threads: int, seconds: float) -> dict[str, float]:
    """Evaluate a model again and again in this process."""
    import torch

    from egraff import _core
    from egraff.graph import build_graph

    torch.set_num_threads(threads)
    atoms = silicon(n_atoms)
    graph = build_graph(
        atoms.get_chemical_symbols(), atoms.positions, atoms.cell.array, atoms.pbc,
        elements=["Si"], r_max=R_MAX,
    )  # fmt: skip
    model = _core.Model(path, verify=False)

    def step() -> None:
        model.evaluate(graph.species, graph.edge_index, graph.edge_vec, n_atoms)

    before = resident()
    step()
    wall, cpu, others = [], [], []
    end = time.perf_counter() + seconds
    while len(wall) < 3 or time.perf_counter() < end:
        start = time.perf_counter(), time.process_time(), busy()
        step()
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
        others.append((busy() - start[2] - cpu[-1]) / wall[-1])
    peak = peak_resident()
    best = wall.index(min(wall))
    return {
        "us_min": wall[best] / n_atoms * 1e6,
        "us_med": sorted(wall)[len(wall) // 2] / n_atoms * 1e6,
        "cpu_us_min": min(cpu) / n_atoms * 1e6,
        "kB_per_atom": (peak - before) / n_atoms / 1e3,
        "others": max(0.0, sum(others) / len(others)),
        "steps": len(wall),
    }


def run(command: list[str], threads: int) -> dict[str, float] | None:
    """Run a command that prints a RESULT line, and return what the line says."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    print(f"# no result from {shlex.join(command)}: {done.stderr.strip()[-300:]}", flush=True)
    return None


def table_row(label: str, dtype: str, n: int, threads: int, result: dict[str, float]) -> str:
    """Return one line of the table."""
    cells = [f"{label:22s} {dtype} {n:7d} {threads:2d}"]
    for key, width in (("us_min", 9), ("us_med", 9), ("cpu_us_min", 9), ("kB_per_atom", 9)):
        value = result.get(key)
        cells.append(f"{value:{width}.1f}" if value is not None else " " * width)
    cells.append(f"{result.get('others', result.get('other_mean', float('nan'))):6.2f}")
    return " ".join(cells)


def main() -> None:
    """Measure what the command line asks for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=["nequip", "mace"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[512, 4096])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--dtypes", nargs="+", default=["float32"])
    parser.add_argument(
        "--formats", nargs="+", choices=["torchscript", "aoti"], default=["torchscript"]
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="for each measurement")
    parser.add_argument("--external", nargs="*", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        path, n, threads, seconds = arguments.measure
        print("RESULT", json.dumps(measure(path, int(n), int(threads), float(seconds))))
        return
    with tempfile.TemporaryDirectory() as directory:
        for dtype in arguments.dtypes:
            files = {
                name: export(name, dtype, Path(directory), arguments.formats)
                for name in arguments.models
            }
            print(
                f"{'model':22s} dtype     atoms thr   us/min    us/med    cpu us   kB/atom others"
            )
            for n in arguments.sizes:
                for threads in arguments.threads:
                    for name, kinds in files.items():
                        best = {}
                        for kind, path in kinds.items():
                            options = [str(path), str(n), str(threads), str(arguments.seconds)]
                            command = [sys.executable, __file__, "--measure", *options]
                            if result := run(command, threads):
                                best[kind] = result["us_min"]
                                label = f"{name} {kind}"
                                print(table_row(label, dtype, n, threads, result), flush=True)
                        ratios = [
                            f"plain / {kind} = {best['plain'] / us:.1f}"
                            for kind, us in best.items()
                            if kind != "plain" and "plain" in best
                        ]
                        if ratios:
                            print("#   " + ", ".join(ratios))
                    for entry in arguments.external:
                        label, _, command = entry.partition("=")
                        words = shlex.split(command.format(n=n, threads=threads, dtype=dtype))
                        if result := run(words, threads):
                            print(table_row(label, dtype, n, threads, result), flush=True)


if __name__ == "__main__":
    main()
