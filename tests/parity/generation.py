# SPDX-License-Identifier: GPL-2.0-or-later
"""For the scripts that ask an original implementation for reference numbers.

Each such script runs twice: first in any Python, where it makes a virtual environment from exact
pins; then in that environment, where it imports the original, not egraff. Only numpy is needed
here beyond the standard library.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "EGRAFF_PARITY_INSIDE"


def main(
    script: str,
    pins: Sequence[str],
    generate: Callable[[Path, argparse.Namespace], None],
    *,
    without_requirements: Sequence[str] = (),
    extra: Callable[[argparse.ArgumentParser], None] | None = None,
) -> None:
    """Make the environment, then call ``generate(fixtures directory, options)`` inside it.

    Args:
        script: ``__file__`` of the caller; its folder's name names the environment.
        pins: requirements for pip, each with its exact version.
        generate: writes the fixtures.
        without_requirements: see :func:`environment`.
        extra: adds options of its own to the command line.
    """
    here = Path(script).resolve()
    everything = ", ".join([*pins, *without_requirements])
    parser = argparse.ArgumentParser(description=f"Reference numbers from {everything}.")
    parser.add_argument(
        "--venv",
        type=Path,
        default=default_venv(here.parent.name),
        help="virtual environment of the original; made when missing",
    )
    if extra is not None:
        extra(parser)
    options = parser.parse_args()
    if os.environ.get(INSIDE):
        fixtures = here.parent / "fixtures"
        fixtures.mkdir(exist_ok=True)
        generate(fixtures, options)
        return
    python = environment(options.venv, pins, without_requirements)
    subprocess.run([python, here, *sys.argv[1:]], check=True, env={**os.environ, INSIDE: "1"})


def default_venv(name: str) -> Path:
    """Return where the environment of an original is unless told otherwise."""
    return ROOT / "build" / "parity" / name


def environment(venv: Path, pins: Sequence[str], without_requirements: Sequence[str] = ()) -> Path:
    """Make a virtual environment unless it is there, and return its Python.

    What the pins do not fix, egraff's own constraints do: both sides of a comparison have the same
    torch and the same numpy.

    Args:
        venv: its directory.
        pins: requirements for pip, each with its exact version.
        without_requirements: packages whose own requirements pip must not look at.
    """
    python, complete = venv / "bin" / "python", venv / "complete"
    if not complete.exists():
        pip = [python, "-m", "pip", "install", "--constraint", ROOT / "constraints.txt"]
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([*pip, *pins], check=True)
        if without_requirements:
            subprocess.run([*pip, "--no-deps", *without_requirements], check=True)
        complete.touch()
    return python


def structures(numbers: Sequence[int], *, seed: int) -> list[dict[str, Any]]:
    """Return random structures of the given elements: a molecule with a lone atom far away, and a
    triclinic cell more than 6 A wide in every direction.

    Each has keys ``numbers`` ``[n]``, ``positions`` ``[n, 3]`` and ``cell`` ``[3, 3]`` or None.
    """
    generator = np.random.default_rng(seed)
    cell = np.array([[6.4, 0.0, 0.0], [1.1, 6.3, 0.0], [-0.8, 0.9, 6.6]])
    molecule = _spread(generator, 7, 3.0 * np.eye(3), 1.0)
    lone = np.array([[20.0, 0.0, 0.0]])
    return [
        {
            "numbers": _numbers(generator, numbers, 8),
            "positions": np.concatenate([molecule, lone]),
            "cell": None,
        },
        {
            "numbers": _numbers(generator, numbers, 14),
            "positions": _spread(generator, 14, cell, 1.4),
            "cell": cell,
        },
    ]


def write(
    path: Path,
    case: dict[str, Any],
    weights: dict[str, np.ndarray],
    results: Sequence[dict[str, Any]],
) -> None:
    """Write a fixture.

    Args:
        path: file, ``.npz``.
        case: JSON-able description: what the converter needs, and the versions.
        weights: the original's state.
        results: per structure ``numbers``, ``positions``, ``cell`` (or None), and from the
            original ``energies`` ``[n]`` in eV, ``forces`` ``[n, 3]`` in eV/A and, where it has
            one, ``stress`` ``[3, 3]`` in eV/A^3.
    """
    arrays = {f"weight:{name}": value for name, value in weights.items()}
    for index, result in enumerate(results):
        arrays |= {f"{index}:{key}": value for key, value in result.items() if value is not None}
    np.savez_compressed(path, case=json.dumps(case), **arrays)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def _numbers(generator: np.random.Generator, numbers: Sequence[int], n: int) -> np.ndarray:
    # every element occurs
    rest = generator.choice(numbers, n - len(numbers))
    return generator.permutation(np.concatenate([numbers, rest])).astype(np.int64)


def _spread(
    generator: np.random.Generator, n: int, cell: np.ndarray, distance: float
) -> np.ndarray:
    """Return random points in a cell, none closer than ``distance`` to another or its images."""
    shifts = np.array([[i, j, k] for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    points = np.empty((0, 3))
    while len(points) < n:
        point = generator.random(3) @ cell
        images = points[:, None, :] + shifts @ cell
        if np.linalg.norm(images - point, axis=2).min(initial=np.inf) > distance:
            points = np.concatenate([points, point[None]])
    return points
