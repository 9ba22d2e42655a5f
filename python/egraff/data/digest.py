# SPDX-License-Identifier: GPL-2.0-or-later
"""What identifies labelled frames, however their file is written.

Two files with one digest hold the same frames in the same order: elements, positions, lattice and
labels agree to the digits that egraff writes. Compression, the order of columns, comments and the
program that wrote a file do not matter, as they do for the SHA-256 of its bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from egraff.data.frames import Frame

LENGTH_QUANTUM = 1e-8
"""In Angstrom, and in eV/Angstrom of forces: the eight decimals of extended XYZ."""

ENERGY_QUANTUM = 1e-6
"""In eV: beyond what any self-consistent calculation converges to."""

STRESS_QUANTUM = 1e-8
"""In eV/A^3, 1.6 Pa."""

_VERSION = b"egraff frames 1\n"


def frames_digest(frames: Iterable[Frame]) -> str:
    """Return the SHA-256 of what frames hold: numbers, positions, periodic lattice, labels.

    Numbers count in multiples of the quanta above. Lattice vectors along which a frame is not
    periodic do not count, nor does what a file says besides (``info``).

    Args:
        frames: in their order, which matters.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(_VERSION)
    for frame in frames:
        digest.update(np.array([len(frame), *frame.pbc], dtype="<i8").tobytes())
        digest.update(frame.numbers.astype("<i8").tobytes())
        for name, values, quantum in (
            (b"positions", frame.positions, LENGTH_QUANTUM),
            (b"cell", frame.cell[frame.pbc], LENGTH_QUANTUM),
            (b"energy", frame.energy, ENERGY_QUANTUM),
            (b"forces", frame.forces, LENGTH_QUANTUM),
            (b"stress", frame.stress, STRESS_QUANTUM),
        ):
            digest.update(name)
            if values is not None:
                digest.update(np.rint(np.asarray(values) / quantum).astype("<i8").tobytes())
    return digest.hexdigest()
