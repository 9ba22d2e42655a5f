# SPDX-License-Identifier: GPL-2.0-or-later
"""Per-element reference energies E0, the part of a total energy that only counts atoms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike

import numpy as np

from egraff.data.frames import Frame, read_frames
from egraff.data.isolated_atoms import isolated_energies
from egraff.data.labels import LabelKeys
from egraff.data.validation import validate_frames
from egraff.errors import InputError

_RANK = 1e-10  # of the largest singular value; shares are exact but for rounding, 1e-16


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


def fit_reference_energies(
    frames: Sequence[Frame],
    elements: Sequence[str],
    *,
    known: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Fit one energy per element to the total energies, by least squares.

    Minimises sum over frames of ((E - sum_k n_k E0_k) / n_atoms)^2. Where the compositions do not
    tell elements apart (one molecule, one crystal; see `undetermined_elements`) many solutions have
    the same totals. Of these the one nearest to equal energies is returned: every element gets the
    mean energy per atom plus the deviation of least norm. Single values then mean nothing, only
    their sum over the compositions that occur does.

    Args:
        frames: labelled frames.
        elements: chemical symbols, each of which occurs in the frames or is known.
        known: energies in eV that are not fitted, those of isolated atoms.

    Returns:
        Element to E0 in eV, in the order of ``elements``.

    Raises:
        InputError: no frames, an energy is missing, or the elements do not match the frames.
    """
    known = dict(known or {})
    fitted = [element for element in elements if element not in known]
    if not fitted:
        return {element: float(known[element]) for element in elements}
    if not frames:
        raise InputError(
            "expected frames to fit reference energies to, got none", fix="give a file with frames"
        )
    counts = composition_matrix(frames, elements)
    for element, total in zip(elements, counts.sum(axis=0), strict=True):
        if total == 0 and element not in known:
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
    energies = np.array([frame.energy for frame in frames])
    energies -= counts @ np.array([known.get(element, 0.0) for element in elements])
    shares = _shares(counts, [element not in known for element in elements])
    per_atom = energies / counts.sum(axis=1)
    # the mean energy of the atoms whose energy is sought, then what each element adds to it
    sought = shares.sum(axis=1)
    mean = float(sought @ per_atom / (sought @ sought))
    deviation = np.linalg.lstsq(shares, per_atom - mean * sought, rcond=_RANK)[0]
    solution = dict(zip(fitted, mean + deviation, strict=True)) | known
    return {element: float(solution[element]) for element in elements}


def undetermined_elements(
    frames: Sequence[Frame], elements: Sequence[str], *, known: Iterable[str] = ()
) -> list[str]:
    """Return the elements whose E0 the compositions of the frames leave open.

    Args:
        frames: the frames of a fit.
        elements: chemical symbols, each of which occurs in the frames.
        known: elements whose energy is known from isolated atoms.
    """
    known = set(known)
    fitted = [element for element in elements if element not in known]
    if not fitted:
        return []
    shares = _shares(
        composition_matrix(frames, elements), [element not in known for element in elements]
    )
    _, sizes, directions = np.linalg.svd(shares, full_matrices=True)
    rank = int((sizes > _RANK * sizes[0]).sum())
    # what can be added to the energies without changing any total
    free = np.abs(directions[rank:]).max(axis=0, initial=0.0) > 1e-6
    return [element for element, is_free in zip(fitted, free, strict=True) if is_free]


def is_determined(frames: Sequence[Frame], others: Sequence[Frame]) -> bool:
    """Return whether energies fitted to some frames determine the total energies of others.

    They do if each composition of the others is a combination of those of the frames; otherwise
    these totals have an offset that no training energy says anything about.

    Args:
        frames: the frames of a fit.
        others: frames with the same elements or fewer.
    """
    elements = sorted({symbol for frame in frames for symbol in frame.symbols})
    every = [True] * len(elements)
    ours = _shares(composition_matrix(frames, elements), every)
    both = np.vstack([ours, _shares(composition_matrix(others, elements), every)])
    return _rank(both) == _rank(ours)


def _rank(shares: np.ndarray) -> int:
    sizes = np.linalg.svd(shares, compute_uv=False)
    return int((sizes > _RANK * sizes[0]).sum())


def fit_errors(
    frames: Sequence[Frame], fitted: Mapping[str, float], *, known: Iterable[str] = ()
) -> dict[str, float]:
    """Return the standard error in eV of each energy that a fit gave.

    From the scatter of the energies about the fit, as if they were independent: large where the
    compositions differ so little that the scatter decides how an energy is shared among elements.

    Args:
        frames: the frames of the fit.
        fitted: energies of all elements in eV.
        known: elements whose energy was not fitted.

    Returns:
        Element to error; empty where the fit leaves no scatter to judge by, or the compositions do
        not determine it at all.
    """
    known = set(known)
    elements = list(fitted)
    sought = [element for element in elements if element not in known]
    counts = composition_matrix(frames, elements)
    shares = _shares(counts, [element not in known for element in elements])
    sizes = np.linalg.svd(shares, compute_uv=False)
    freedom = len(frames) - len(sought)
    if freedom < 1 or not sought or sizes[-1] <= _RANK * sizes[0]:
        return {}
    energies = np.array([frame.energy for frame in frames])
    residuals = (energies - counts @ np.array(list(fitted.values()))) / counts.sum(axis=1)
    covariance = np.linalg.inv(shares.T @ shares) * float(residuals @ residuals) / freedom
    return dict(zip(sought, np.sqrt(np.diag(covariance)).tolist(), strict=True))


def _shares(counts: np.ndarray, sought: Sequence[bool]) -> np.ndarray:
    """Return the share of each sought element in the atoms of each frame."""
    return counts[:, sought] / counts.sum(axis=1, keepdims=True)


def reference_energies_from_atoms(
    path: str | PathLike[str],
    *,
    elements: Sequence[str] | None = None,
    keys: LabelKeys | None = None,
) -> dict[str, float]:
    """Read E0 from a file of isolated atoms.

    Args:
        path: the file.
        elements: symbols that are needed, in the order wanted; all of the file when None.
        keys: names of the labels in the file.

    Returns:
        Element to E0 in eV.

    Raises:
        InputError: as `read_isolated_atoms`, or an element is not there.
    """
    found = isolated_energies(read_isolated_atoms(path, keys=keys))
    missing = [element for element in elements or [] if element not in found]
    if missing:
        raise InputError(
            f"no isolated atom of {', '.join(missing)}; the file has {', '.join(found)}",
            where=path,
            fix="add the atom, or fit the reference energies instead",
        )
    return {element: found[element] for element in elements or found}


def read_isolated_atoms(path: str | PathLike[str], *, keys: LabelKeys | None = None) -> list[Frame]:
    """Read a file that holds nothing but labelled single atoms.

    Raises:
        InputError: a frame has several atoms or no energy, or cannot be right.
    """
    frames = read_frames(path, keys=keys)
    for frame in frames:
        if len(frame) != 1:
            raise InputError(
                f"expected isolated atoms only, got {len(frame)} atoms",
                where=path,
                field=f"frame {frame.source[1]}",
                fix="keep the single-atom frames",
            )
    validate_frames(frames, require=("energy",))
    return frames
