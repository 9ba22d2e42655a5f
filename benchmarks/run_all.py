# SPDX-License-Identifier: GPL-2.0-or-later
"""All tables of the engine, one after the other.

    python benchmarks/run_all.py [--parts engine scaling small sizes flops large]
        [--external NAME=PYTHON ...] [--out FOLDER]

README.md beside this file says what each table shows and how to make the environments of other
programs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from processes import HERE
from shapes import MODELS


def commands(options: argparse.Namespace) -> dict[str, list[object]]:
    """Return the program and arguments of each part."""
    models = ["--models", *options.models]
    seconds = ["--seconds", options.seconds]
    external = ["--external", *options.external] if options.external else []
    # those that no other program is measured beside are compared with their own plain graph
    plain = [name for name in ("botnet", "equiformer") if name in options.models]
    return {
        "engine": [
            "engine.py", *models, *seconds, "--sizes", 512, 4096, "--threads", 1, 2,
            "--plain", *plain, *external, "--cache", options.cache,
        ],
        "scaling": ["ranks.py", *models, *seconds],
        "small": ["small_systems.py", *models, *seconds],
        "flops": ["flops.py", *models, *seconds, "--threads", 1, 2],
        "sizes": [
            "sizes.py", *models, "--largest", options.largest, "--budget", options.budget,
            "--figure", options.out / "sizes.png",
        ],
        "large": [
            "large_system.py", "--models", "nequip", "mace", "--atoms", 1_000_000, "--steps", 2,
        ],
    }  # fmt: skip


def main() -> None:
    """Read the command line, and run what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = ["engine", "scaling", "small", "flops", "sizes", "large"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts[:-1])
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=list(MODELS))
    parser.add_argument("--external", nargs="+", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--cache", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--seconds", type=float, default=2.0, help="per measurement")
    parser.add_argument("--largest", type=int, default=100_000, help="atoms, of the part sizes")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for one of its sizes")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as exports:
        run_parts(options, exports)


def run_parts(options: argparse.Namespace, exports: str) -> None:
    """Run the parts, which share the exported models, and keep what they print."""
    for part in options.parts:
        program, *arguments = commands(options)[part]
        if part != "large":
            arguments += ["--exports", exports]
        start = time.monotonic()
        print(f"\n=== {part} ===", flush=True)
        command = [sys.executable, "-u", HERE / program, *arguments]
        with (
            (options.out / f"{part}.txt").open("w") as file,
            subprocess.Popen(
                [str(word) for word in command], stdout=subprocess.PIPE, text=True
            ) as process,
        ):
            for line in process.stdout or ():
                print(line, end="", flush=True)
                file.write(line)
        # the other parts are worth having all the same
        ended = f", ended with status {process.returncode}" if process.returncode else ""
        print(f"# {part}: {time.monotonic() - start:.0f} s{ended}", flush=True)


if __name__ == "__main__":
    main()
