# SPDX-License-Identifier: GPL-2.0-or-later
"""Systems in the formats of DeePMD-kit: ``set.*/*.npy`` or ``*.raw``, in eV and Angstrom.

A system is a folder with ``type.raw``. Rows of ``coord`` and ``force`` are frames, ``box`` has nine
numbers (cells in rows), ``virial`` is -stress times volume in eV; a file ``nopbc`` says that the
box means nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from egraff.data.frames import Frame
from egraff.data.importers.arrays import frames_of_arrays
from egraff.data.importers.registry import Found, ImportOptions, Part, Stated, importer
from egraff.data.selection import select
from egraff.errors import InputError

STATED = Stated(energy="eV", length="A", by="the deepmd format is in it")
_PER_ATOM = {"coord": 3, "force": 3}
_WHOLE = {"box": 9, "energy": 1, "virial": 9}


def read_system(
    folder: Path, elements: tuple[str, ...] | None = None, *, frames: str = "all"
) -> list[Frame]:
    """Read a system, all of its sets.

    Args:
        folder: with ``type.raw``.
        elements: symbols of types 0, 1, ...; needed where there is no ``type_map.raw``.
        frames: which, see `egraff.data.selection`.

    Raises:
        InputError: elements are unknown, a file is missing or cut short, or holds a pickle.
    """
    types = _text(folder / "type.raw", dtype=int).astype(int).ravel()
    numbers = _numbers(folder, types, elements)
    sets = sorted(folder.glob("set.*"))
    if any((one / "real_atom_types.npy").exists() for one in sets):
        raise InputError(
            "expected one composition for each system, found mixed types (real_atom_types.npy)",
            where=folder,
            fix="write the systems one by one with dpdata",
        )
    values: dict[str, list[np.ndarray]] = {}
    for one in sets or [folder]:
        for name, width in (_PER_ATOM | _WHOLE).items():
            path = one / f"{name}.npy" if sets else one / f"{name}.raw"
            if path.is_file():
                rows = _npy(path) if sets else _text(path)
                values.setdefault(name, []).append(
                    _rows(path, rows, width * (len(types) if name in _PER_ATOM else 1))
                )
    arrays = {name: np.concatenate(parts) for name, parts in values.items()}
    periodic = not (folder / "nopbc").exists()
    for name in ("coord", *(("box",) if periodic else ())):
        if name not in arrays:
            raise InputError(
                f"expected {name}.npy in set.*, or {name}.raw, found neither",
                where=folder,
                fix="copy the whole system; large files may be missing from a copy",
            )
    n_frames = len(arrays["coord"])
    for name, rows in arrays.items():
        if len(rows) != n_frames:
            raise InputError(
                f"expected {n_frames} frames, as coord has, got {len(rows)}",
                where=folder,
                field=name,
                fix="copy the system again",
            )
    cell = arrays["box"].reshape(n_frames, 3, 3) if periodic else None
    stress = None
    if periodic and "virial" in arrays:
        volume = np.abs(np.linalg.det(cell))
        stress = -arrays["virial"].reshape(n_frames, 3, 3) / volume[:, None, None]
    return frames_of_arrays(
        folder,
        numbers=numbers,
        positions=arrays["coord"].reshape(n_frames, -1, 3),
        cell=cell,
        pbc=np.full(3, periodic),
        energy=arrays["energy"].ravel() if "energy" in arrays else None,
        forces=arrays["force"].reshape(n_frames, -1, 3) if "force" in arrays else None,
        stress=stress,
        rows=select(frames, n_frames, where=f"--frames of {folder}"),
    )


@importer("deepmd", "systems of DeePMD-kit, npy or raw", takes=("elements", "frames"))
def read_deepmd(source: Path, options: ImportOptions) -> Found:
    """Read all systems of a folder and below."""
    folders = sorted(path.parent for path in source.rglob("type.raw")) if source.is_dir() else []
    if not folders:
        raise InputError(
            "expected a folder with type.raw in it or below, found none",
            where=source,
            fix="give the folder of a system, or one above it",
        )
    parts = []
    for folder in folders:
        inside = folder.relative_to(source)
        name = str(inside) if inside.parts else folder.resolve().name
        frames = read_system(folder, options.elements, frames=options.frames)
        unread = _unread(folder)
        parts.append(
            Part(
                name=name,
                frames=frames,
                stated=STATED,
                source=folder,
                changed=(f"not read: {', '.join(unread)}",) if unread else (),
            )
        )
    return Found(parts)


def _unread(folder: Path) -> list[str]:
    """Name the quantities of a system that are not read, such as spins."""
    known = {*_PER_ATOM, *_WHOLE, "type", "type_map"}
    files = [*folder.glob("set.*/*.npy"), *folder.glob("*.raw")]
    return sorted({path.stem for path in files} - known)


def _numbers(folder: Path, types: np.ndarray, elements: tuple[str, ...] | None) -> np.ndarray:
    path = folder / "type_map.raw"
    symbols = tuple(path.read_text(encoding="utf-8").split()) if path.is_file() else elements
    if symbols is None:
        raise InputError(
            "expected type_map.raw, which says what the types are, found none",
            where=folder,
            fix="give the symbols of types 0, 1, ... with --elements",
        )
    if elements is not None and symbols[: len(elements)] != elements[: len(symbols)]:
        raise InputError(
            f"--elements says {','.join(elements)}, type_map.raw {','.join(symbols)}",
            where=folder,
            fix="leave the option out",
        )
    unknown = [symbol for symbol in symbols if symbol not in atomic_numbers]
    if unknown or not len(types) or types.min() < 0 or types.max() >= len(symbols):
        problem = (
            f"{', '.join(unknown)} as element"
            if unknown
            else f"types {sorted(set(types.tolist()))} for {len(symbols)} elements"
        )
        raise InputError(
            f"expected an element for every type, got {problem}",
            where=folder,
            fix="correct type_map.raw, or give --elements",
        )
    return np.array([atomic_numbers[symbols[number]] for number in types])


def _npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        pickled = "pickle" in str(error).lower()
        raise InputError(
            "a Python pickle, which could run anything; it is not read"
            if pickled
            else f"expected an array, got {type(error).__name__}: {error}",
            where=path,
            fix="copy the file again; it may be cut short, or stand for one in Git LFS",
        ) from error


def _text(path: Path, dtype: type = float) -> np.ndarray:
    try:
        return np.loadtxt(path, dtype=dtype, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(
            f"expected rows of numbers, got {type(error).__name__}: {error}",
            where=path,
            fix="copy the file again; it may be cut short",
        ) from error


def _rows(path: Path, rows: np.ndarray, width: int) -> np.ndarray:
    # energies are often one row of numbers
    rows = rows.reshape(-1, 1) if width == 1 else np.atleast_2d(rows)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise InputError(
            f"expected {width} numbers for each frame, got shape {rows.shape}",
            where=path,
            fix="check type.raw and the file",
        )
    return rows
