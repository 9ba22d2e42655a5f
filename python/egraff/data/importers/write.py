# SPDX-License-Identifier: GPL-2.0-or-later
"""From a local copy to files in our format, with a manifest of what they are and whence."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np

from egraff.data.catalogue import file_record, repositories
from egraff.data.digest import frames_digest
from egraff.data.frames import Frame, read_frames
from egraff.data.importers.checks import check_part, find_overlaps, refuse_lost_cell
from egraff.data.importers.registry import IMPORTERS, Found, ImportOptions, Part
from egraff.data.importers.units import Units, convert, settle, telling_unit
from egraff.data.isolated_atoms import separate_isolated_atoms
from egraff.errors import InputError
from egraff.files import atomic_path, sha256, write_json

MANIFEST = "manifest.json"
_FORMAT = "extended XYZ, gzip; energy eV, forces eV/A, stress eV/A^3 (positive under tension)"


@dataclass
class ImportResult:
    """What an import wrote.

    Attributes:
        files: entry of the manifest for each file written, by name.
        absent: what the copy does not have, in words.
        remarks: what a reader should know.
    """

    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def import_data(
    source: Path,
    layout: str,
    output: Path,
    options: ImportOptions,
    *,
    progress: Callable[[str], None] = lambda line: None,
) -> ImportResult:
    """Read a local copy, check it, and write extended XYZ and a manifest.

    All is read and checked before anything is written.

    Args:
        source: file or folder.
        layout: name of an importer.
        output: folder; files of other imports may be there.
        options: what the user says about the source.
        progress: called with a line for each file written.

    Raises:
        InputError: the source is not of that layout, a unit is unknown or wrong, frames are not
            sound, or a file of that name is there already.
        OutputError: a file cannot be written.
    """
    if not source.exists():
        raise InputError(
            "expected a file or folder, found none", where=source, fix="give a local copy"
        )
    chosen = IMPORTERS[layout]
    _check_options(chosen.name, chosen.takes, options)
    found: Found = chosen.read(source, options)
    result = ImportResult(absent=list(found.absent))
    _check_names(found.parts)
    targets = {part.name: output / f"{part.name}.xyz.gz" for part in found.parts}
    for target in targets.values():
        if target.exists():
            raise InputError("the file exists already", where=target, fix="give another folder")
    known = _known_files(output / MANIFEST)
    ready: dict[str, tuple[Part, Units, list[Frame], dict[str, Any]]] = {}
    for part in found.parts:
        units = settle(part, options)
        frames = [_isolated(_placed(frame)) for frame in convert(part.frames, units)]
        if options.periodic is None:
            refuse_lost_cell(frames, part.source)
        findings, remarks = check_part(frames, units, part.source)
        result.remarks += remarks
        result.remarks += [f"{part.name}: {text}" for text in part.changed if "not read" in text]
        result.remarks += [] if part.structure_only else _missing_labels(part)
        looks = telling_unit(part.frames)
        if looks not in (None, units.energy):
            result.remarks.append(
                f"{part.name}: energies are taken to be in {units.energy}, as stated; their size "
                f"is that of energies in {looks}"
            )
        ready[part.name] = part, units, frames, findings
    comparable = {
        name: molecules
        for name, (part, _, frames, _) in ready.items()
        if not part.structure_only and (molecules := separate_isolated_atoms(frames)[0])
    }
    overlaps = find_overlaps(comparable)
    for (first, second), number in overlaps.items():
        result.remarks.append(
            f"{number} of {len(comparable[second])} frames of {second} have the geometry of frames "
            f"of {first}; do not train on one and test on the other"
        )
    root = source if source.is_dir() else source.parent
    for name, (part, units, frames, findings) in ready.items():
        findings["shared_geometries"] = {
            (second if name == first else first): number
            for (first, second), number in overlaps.items()
            if name in (first, second)
        }
        _write(targets[name], frames)
        entry = _entry(part, units, frames, findings, targets[name], root, layout, options)
        result.remarks += _compared(part, entry)
        result.files[f"{name}.xyz.gz"] = entry
        progress(f"{targets[name]}: {len(frames)} frames")
    write_json(output / MANIFEST, {"format": _FORMAT, "files": {**known, **result.files}})
    return result


def _missing_labels(part: Part) -> list[str]:
    return [
        f"{part.name}: no frame has {label}"
        for label in ("energy", "forces")
        if all(getattr(frame, label) is None for frame in part.frames)
    ]


def _check_names(parts: Sequence[Part]) -> None:
    first: dict[str, Part] = {}
    for part in parts:
        other = first.setdefault(part.name, part)
        if other is not part:
            raise InputError(
                f"expected files of different names, got two that become {part.name}.xyz.gz: "
                f"{other.source} is the first",
                where=part.source,
                fix="import them one by one, or rename one",
            )


def _check_options(layout: str, takes: Sequence[str], options: ImportOptions) -> None:
    plain = ImportOptions()
    for name in ("elements", "periodic", "frames", "fold", "only"):
        if getattr(options, name) != getattr(plain, name) and name not in takes:
            raise InputError(
                f"does not apply to {layout}",
                where=f"--{'set' if name == 'only' else name}",
                fix="leave the option out",
            )


def _placed(frame: Frame) -> Frame:
    """Say in the frame where it comes from, unless it does."""
    file, number = frame.source
    return replace(
        frame, info={"source": Path(file).name, "source_index": number, **dict(frame.info)}
    )


def _isolated(frame: Frame) -> Frame:
    """Give an isolated atom the forces that symmetry demands, where its source has none."""
    if len(frame) == 1 and not frame.pbc.any() and frame.energy is not None:
        return replace(frame, forces=np.zeros((1, 3)) if frame.forces is None else frame.forces)
    return frame


def _write(target: Path, frames: Sequence[Frame]) -> None:
    text = io.StringIO()
    ase.io.write(text, [frame.to_atoms() for frame in frames], format="extxyz")
    with atomic_path(target) as partial:
        # without a time, so that the same frames give the same bytes
        partial.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def _entry(
    part: Part,
    units: Units,
    frames: Sequence[Frame],
    findings: Mapping[str, Any],
    target: Path,
    root: Path,
    layout: str,
    options: ImportOptions,
) -> dict[str, Any]:
    repository = repositories().get(part.repository or "")
    sizes = sorted({len(frame) for frame in frames})
    return {
        "frames": len(frames),
        "atoms": sizes if len(sizes) < 5 else [sizes[0], sizes[-1]],
        "sha256": sha256(target),
        # of what is in the file, which is rounded, rather than of what went into it
        "digest": frames_digest(read_frames(target)),
        "layout": layout,
        "origin": options.origin or (repository.address if repository else "not stated"),
        "path": str(part.source.relative_to(root)) if part.source != root else part.source.name,
        "source_sha256": sha256(part.source) if part.source.is_file() else None,
        "licence": options.licence or (repository.licence if repository else "not stated"),
        "cite": list(repository.cite) if repository else [],
        "units": {
            "energy": units.energy,
            "force": units.force,
            "length": units.length,
            "said_by": units.said_by,
        },
        "changed": list(part.changed),
        "checks": dict(findings),
    }


def _compared(part: Part, entry: dict[str, Any]) -> list[str]:
    """Compare with the catalogue, where the file is one of its own."""
    if part.record is None:
        return []
    expected = file_record(part.record).digest
    if expected is None:
        entry["catalogue"] = "no digest"
        return [f"{part.record}: the catalogue has no digest to compare with"]
    entry["catalogue"] = "same" if entry["digest"] == expected else "different"
    if entry["catalogue"] == "same":
        return []
    return [
        f"{part.record}: not the frames that the catalogue describes; the repository has changed, "
        "or the copy is damaged"
    ]


def _known_files(manifest: Path) -> dict[str, Any]:
    """Return what earlier imports into the folder wrote."""
    if not manifest.is_file():
        return {}
    try:
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    except (ValueError, KeyError, TypeError):
        files = None
    if not isinstance(files, dict):
        raise InputError(
            "expected a manifest of earlier imports, got a file without `files`",
            where=manifest,
            fix="give another folder",
        )
    return files
