# SPDX-License-Identifier: GPL-2.0-or-later
"""What a set of frames holds, in words and numbers for a person to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from ase.formula import Formula

from egraff.data.consistency import Slope, energy_force_slope, energy_stress_slope
from egraff.data.distances import shortest_distance
from egraff.data.frames import Frame
from egraff.units import EV_PER_ANG3_IN_GPA


def summarise(frames: Sequence[Frame]) -> dict[str, str]:
    """Describe frames: one line of text for each property.

    Works on any frames, also on those that `egraff.data.validation.validate_frames` refuses, so
    that a person can see what is wrong with them.
    """
    sizes = [len(frame) for frame in frames]
    symbols = Counter(symbol for frame in frames for symbol in frame.symbols)
    formulas = Counter(str(Formula.from_list(sorted(frame.symbols))) for frame in frames)
    common = [f"{Formula(formula):metal} x {n}" for formula, n in formulas.most_common(5)]
    more = f", and {len(formulas) - 5} more" if len(formulas) > 5 else ""
    text = {
        "frames": str(len(frames)),
        "atoms per frame": _range(sizes, "d"),
        "elements": " ".join(f"{symbol} ({n})" for symbol, n in sorted(symbols.items())),
        "compositions": ", ".join(common) + more,
        "periodic": ", ".join(sorted({_pbc(frame.pbc) for frame in frames})),
        "keys in the file": ", ".join(dict.fromkeys(k for f in frames for k in f.label_keys))
        or "none",
    }
    volumes = [abs(np.linalg.det(frame.cell)) for frame in frames if frame.pbc.all()]
    if volumes:
        text["volume (A^3)"] = _range(volumes, ".2f")
    text["energy (eV/atom)"] = _labels(
        [frame.energy / len(frame) for frame in frames if frame.energy is not None], frames
    )
    text["force rms (eV/A)"] = _labels(
        [np.sqrt(np.mean(frame.forces**2)) for frame in frames if frame.forces is not None], frames
    )
    text["pressure (GPa)"] = _labels(
        [
            -np.trace(f.stress) / 3 * EV_PER_ANG3_IN_GPA
            for f in frames
            if f.stress is not None and f.pbc.all()
        ],
        frames,
    )
    shortest = [shortest_distance(frame) for frame in frames]
    text["shortest distance (A)"] = f"{min(shortest):.3f}"
    slope = energy_force_slope(frames)
    if slope is not None:
        text["dE / (-F dx)"] = _slope(slope)
    slope = energy_stress_slope(frames)
    if slope is not None:
        text["dE / (V stress dstrain)"] = _slope(slope)
    return text


def _slope(slope: Slope) -> str:
    pairs = f"correlation {slope.correlation:.4f}, {slope.n_pairs} pairs of consecutive frames"
    if slope.judged:
        return f"{slope.slope:.4f} ({pairs}; 1 for consistent labels)"
    return f"not judged: the frames do not follow one another closely ({pairs})"


def _pbc(pbc: np.ndarray) -> str:
    return " ".join("T" if periodic else "F" for periodic in pbc)


def _range(values: Sequence[float], form: str) -> str:
    low, high = min(values), max(values)
    return f"{low:{form}}" if low == high else f"{low:{form}} to {high:{form}}"


def _labels(values: Sequence[float], frames: Sequence[Frame]) -> str:
    if not values:
        return "missing"
    mean, spread = float(np.mean(values)), float(np.std(values))
    missing = len(frames) - len(values)
    suffix = f"; missing in {missing} frames" if missing else ""
    return f"{_range(values, '.4f')} (mean {mean:.4f}, s.d. {spread:.4f}){suffix}"
