# SPDX-License-Identifier: GPL-2.0-or-later
"""Other programs, each in an environment of its own, with the same model, structure and threads."""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import dataclass
from pathlib import Path

from processes import HERE, measured


@dataclass(frozen=True)
class Program:
    """Another program.

    Attributes:
        architecture: ours that it has the shape of.
        largest: number of atoms above which it is left out, for it needs minutes for a step, or
            more memory than there is.
    """

    architecture: str
    largest: int


PROGRAMS = {
    "mace-torch": Program("mace", 512),  # 24 s and 6 GB for 4096 atoms
    "symmetrix-xl": Program("mace", 100_000),
    "nequip": Program("nequip", 4096),
    "nequip-allegro": Program("allegro", 4096),
    "torchmd-net": Program("torchmd_net", 512),  # 12 GB for 4096 atoms
}


@dataclass(frozen=True)
class External:
    """One of :data:`PROGRAMS` that is installed here."""

    name: str
    python: Path
    folder: Path

    @property
    def program(self) -> Program:
        return PROGRAMS[self.name]

    @property
    def runner(self) -> Path:
        return HERE / "external" / f"run_{self.name.replace('-', '_')}.py"

    def prepare(self) -> None:
        """Let it build or compile its model; what it wrote before is used again.

        Raises:
            SystemExit: it failed; with the end of what it printed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [self.python, self.runner, "prepare", self.folder],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"--external {self.name}: cannot prepare it:\n{done.stdout[-2000:]}")
        for line in done.stdout.splitlines():
            if " s" in line and ("compiled in" in line or "is ready" in line):
                print(f"# {self.name}: {line}", flush=True)

    def measure(self, n_atoms: int, threads: int, seconds: float) -> dict[str, float] | None:
        """Measure it as :func:`timing.repeat` does; None if it fails."""
        return measured([self.python, self.runner, n_atoms, threads, seconds, self.folder], threads)


def parse(entries: list[str], cache: Path) -> list[External]:
    """Read ``NAME=PYTHON`` words.

    Args:
        entries: what follows ``--external``.
        cache: where compiled models of other programs are kept.

    Raises:
        argparse.ArgumentTypeError: an unknown name, or no such Python.
    """
    found = []
    for entry in entries:
        name, _, python = entry.partition("=")
        if name not in PROGRAMS:
            raise argparse.ArgumentTypeError(
                f"--external: expected NAME=PYTHON with a NAME of {', '.join(PROGRAMS)}, "
                f"got {entry!r}"
            )
        if not Path(python).is_file():
            raise argparse.ArgumentTypeError(
                f"--external {name}: expected the Python of its environment, got {python!r}; "
                "benchmarks/README.md says how to make one"
            )
        # not resolved: a virtual environment is found by the link's own place
        found.append(External(name, Path(python).absolute(), cache.absolute() / name))
    return found
