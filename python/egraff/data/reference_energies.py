# SPDX-License-Identifier: GPL-2.0-or-later
"""Per-element reference energies E0, the part of a total energy that only counts atoms."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import numpy as np

from egraff.data.frames import Frame, read_frames
from egraff.data.validation import validate_frames
from egraff.errors import InputError


def composition_matrix(frames: Sequence[Frame], elements: Sequence[str]) -> np.ndarray:
    """Count the atoms of each element.

    Returns:
        [n_frames, n_elements] counts.

    Raises:
        InputError: a frame has an element that is not in ``elements``.
    """
    column = {element: k for k, element in enumerate(elements)}
    counts = np.zeros((len(frames), len(elements)))
    for row, frame in enumerate(frames):
        for symbol in frame.symbols:
            if symbol not in column:
                raise InputError(
                    f"{symbol} is not among the elements {' '.join(elements)}",
                    where=frame.source[0] or None,
                    field=f"frame {frame.source[1]}, elements",
                    fix="add the element to the list, or remove these frames",
                )
            counts[row, column[symbol]] += 1
    return counts


def fit_reference_energies(frames: Sequence[Frame], elements: Sequence[str]) -> dict[str, float]:
    """Fit one energy per element to the total energies, by least squares.

    Minimises sum over frames of ((E - sum_k n_k E0_k) / n_atoms)^2. Where the compositions do not
    tell elements apart (one molecule, one crystal) there are many solutions with the same total;
    the one of least norm is returned, so single values then mean nothing, only their sum does.

    Args:
        frames: labelled frames.
        elements: chemical symbols, each of which occurs in the frames.

    Returns:
        Element to E0 in eV, in the order of ``elements``.

    Raises:
        InputError: no frames, an energy is missing, or the elements do not match the frames.
    """
    if not frames:
        raise InputError("there are no frames to fit reference energies to", fix="give some")
    counts = composition_matrix(frames, elements)
    for element, total in zip(elements, counts.sum(axis=0), strict=True):
        if total == 0:
            raise InputError(
                f"{element} does not occur in the {len(frames)} frames, so it has no energy",
                where=frames[0].source[0] or None,
                field="elements",
                fix="leave it out, or give energies of isolated atoms",
            )
    for frame in frames:
        if frame.energy is None:
            raise InputError(
                "the energy is missing",
                where=frame.source[0] or None,
                field=f"frame {frame.source[1]}, energy",
                fix="label the frame, or remove it",
            )
    n_atoms = counts.sum(axis=1, keepdims=True)
    energies = np.array([[frame.energy] for frame in frames])
    solution = np.linalg.lstsq(counts / n_atoms, energies / n_atoms, rcond=1e-10)[0][:, 0]
    return {element: float(energy) for element, energy in zip(elements, solution, strict=True)}


def reference_energies_from_atoms(
    path: str | PathLike[str],
    *,
    elements: Sequence[str] | None = None,
    energy_key: str = "energy",
) -> dict[str, float]:
    """Read E0 from a file of isolated atoms, one per frame.

    Args:
        path: the file.
        elements: symbols that are needed, in the order wanted; all of the file when None.
        energy_key: name of the energy in the file.

    Returns:
        Element to E0 in eV.

    Raises:
        InputError: a frame is not a single atom, an element comes twice, or one is not there.
    """
    frames = read_frames(path, energy_key=energy_key)
    validate_frames(frames, require=("energy",))
    found: dict[str, float] = {}
    for frame in frames:
        symbol = frame.symbols[0]
        if len(frame) != 1 or symbol in found:
            what = f"{symbol} a second time" if len(frame) == 1 else f"{len(frame)} atoms"
            raise InputError(
                f"expected one isolated atom per element, got {what}",
                where=path,
                field=f"frame {frame.source[1]}",
                fix="keep one single-atom frame per element",
            )
        found[symbol] = float(frame.energy)
    missing = [element for element in elements or [] if element not in found]
    if missing:
        raise InputError(
            f"no isolated atom of {', '.join(missing)}; the file has {', '.join(found)}",
            where=path,
            fix="add the atom, or fit the reference energies instead",
        )
    return {element: found[element] for element in elements or found}
