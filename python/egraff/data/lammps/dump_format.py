# SPDX-License-Identifier: GPL-2.0-or-later
"""One frame of a LAMMPS text dump: its header, its box and its columns.

The format is described at https://docs.lammps.org/dump.html. A frame is a few ``ITEM:`` sections
followed by one line per atom; ``UNITS`` and ``TIME`` sections are optional, and the box comes in
three forms (orthogonal, restricted triclinic, general triclinic).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egraff import _dump
from egraff.errors import InputError

#: Columns that hold words, not numbers.
TEXT_COLUMNS = frozenset({"element", "typelabel"})

_WRAPPED = (("x", "y", "z"), ("xs", "ys", "zs"))
_UNWRAPPED = (("xu", "yu", "zu"), ("xsu", "ysu", "zsu"))
_IMAGES = ("ix", "iy", "iz")


class DumpError(InputError):
    """A dump file, or one frame of it, cannot be read."""


@dataclass(frozen=True)
class FrameHeader:
    """Everything a dump frame says before its first atom.

    Attributes:
        step: MD step.
        n_atoms: number of atoms in the frame.
        columns: names of the per-atom columns, in file order.
        cell: box vectors as rows, in the frame of the file's coordinates, `[3, 3]`, Angstrom.
        origin: lower corner of the box, `[3]`, Angstrom.
        boundary: LAMMPS boundary words, such as ``("pp", "pp", "ff")``.
        general: whether the box was written as a general triclinic one.
        units: LAMMPS unit style when this frame states it (only the first of a file does).
        time: simulated time in the file's time unit when the frame states it.
        length: bytes of the header.
    """

    step: int
    n_atoms: int
    columns: tuple[str, ...]
    cell: np.ndarray
    origin: np.ndarray
    boundary: tuple[str, str, str]
    general: bool
    units: str | None
    time: float | None
    length: int

    @property
    def pbc(self) -> tuple[bool, bool, bool]:
        """Whether each direction is periodic."""
        return tuple(word.startswith("p") for word in self.boundary)


def _box(title: list[str], lines: list[list[str]]) -> tuple[np.ndarray, np.ndarray, bool]:
    """Box vectors, origin and "is general triclinic" from a BOX BOUNDS section."""
    rows = np.array([[float(field) for field in line] for line in lines])
    if title[:2] == ["abc", "origin"]:
        return rows[:, :3].copy(), rows[:, 3].copy(), True
    if title[:3] == ["xy", "xz", "yz"]:
        (xlo, xhi, xy), (ylo, yhi, xz), (zlo, zhi, yz) = rows
        # the file holds the bounding box of the tilted cell, not its edges
        xlo -= min(0.0, xy, xz, xy + xz)
        xhi -= max(0.0, xy, xz, xy + xz)
        ylo -= min(0.0, yz)
        yhi -= max(0.0, yz)
        cell = np.array([[xhi - xlo, 0.0, 0.0], [xy, yhi - ylo, 0.0], [xz, yz, zhi - zlo]])
        return cell, np.array([xlo, ylo, zlo]), False
    low, high = rows[:, 0], rows[:, 1]
    return np.diag(high - low), low.copy(), False


def _boundary(title: list[str]) -> tuple[str, str, str]:
    """Boundary words of a BOX BOUNDS title; LAMMPS before 2010 wrote none, of periodic boxes too.

    Raises:
        ValueError: there are some, but not three.
    """
    words = [word for word in title if word not in ("xy", "xz", "yz", "abc", "origin")]
    if not words:
        return ("pp",) * 3
    if len(words) != 3 or not all(set(word) <= set("pfsm") for word in words):
        raise ValueError(f"expected three boundary words such as pp or fs, got {' '.join(words)}")
    return tuple(words)


def parse_header(text: bytes, *, where: str) -> FrameHeader:
    """Parse the ``ITEM:`` sections at the start of ``text``.

    Args:
        text: bytes that begin with a frame.
        where: file name for messages.

    Raises:
        DumpError: the header is cut off, or a section is missing or malformed.
    """
    found: dict[str, object] = {}
    position = 0

    def line() -> str:
        nonlocal position
        end = text.find(b"\n", position)
        if end < 0:
            raise DumpError(
                "the file ends inside a frame header", where=where, field=_step_name(found)
            )
        content = text[position:end].decode("ascii", errors="replace").strip()
        position = end + 1
        return content

    unknown = False
    while "columns" not in found:
        title = line()
        if unknown and not title.startswith("ITEM: "):
            continue  # content of a section that later LAMMPS versions may add
        unknown = False
        if not title.startswith("ITEM: "):
            raise DumpError(
                f"expected a line that begins with 'ITEM: ', got {title[:60]!r}",
                where=where,
                field=_step_name(found),
                fix="give a text dump written by LAMMPS (dump styles atom or custom)",
            )
        words = title.split()[1:]
        try:
            if words[0] == "UNITS":
                found["units"] = line()
            elif words[0] == "TIME":
                found["time"] = float(line())
            elif words[0] == "TIMESTEP":
                found["step"] = int(line())
            elif words[:3] == ["NUMBER", "OF", "ATOMS"]:
                found["n_atoms"] = int(line())
            elif words[:2] == ["BOX", "BOUNDS"]:
                rows = [line().split() for _ in range(3)]
                found["cell"], found["origin"], found["general"] = _box(words[2:], rows)
                found["boundary"] = _boundary(words[2:])
            elif words[0] == "ATOMS":
                found["columns"] = tuple(words[1:])
            else:
                unknown = True
        except (ValueError, IndexError) as error:
            raise DumpError(
                f"cannot read the section {title!r}: {error}", where=where, field=_step_name(found)
            ) from None
    missing = [name for name in ("step", "n_atoms", "cell") if name not in found]
    if missing:
        raise DumpError(
            f"the frame header has no {', '.join(missing)}", where=where, field=_step_name(found)
        )
    found.setdefault("units", None)
    found.setdefault("time", None)
    return FrameHeader(length=position, **found)


def _step_name(found: dict[str, object]) -> str | None:
    return f"frame of step {found['step']}" if "step" in found else None


@dataclass(frozen=True)
class DumpFrame:
    """One frame in memory, atoms sorted by id where the dump has ids.

    Attributes:
        header: see `FrameHeader`.
        numbers: numeric columns by name, each `[n_atoms]`, float64.
        words: text columns by name (``element``, ``typelabel``), each `[n_atoms]`.
        where: file name for messages.
    """

    header: FrameHeader
    numbers: dict[str, np.ndarray]
    words: dict[str, np.ndarray]
    where: str

    def stack(self, names: tuple[str, ...]) -> np.ndarray | None:
        """The named columns side by side, `[n_atoms, len(names)]`, or None if one is absent."""
        if not all(name in self.numbers for name in names):
            return None
        return np.stack([self.numbers[name] for name in names], axis=1)

    def positions(self, *, unwrap: bool = False) -> np.ndarray:
        """Cartesian positions in Angstrom, `[n_atoms, 3]`, in the file's own frame.

        Args:
            unwrap: positions that do not jump at the box faces: from unwrapped columns, or from
                wrapped ones plus image flags times the *box vectors* (so tilted boxes are right).

        Raises:
            DumpError: the columns needed are not in the dump.
        """
        cell, origin = self.header.cell, self.header.origin
        groups = _UNWRAPPED if unwrap else _WRAPPED + _UNWRAPPED
        for names in groups:
            values = self.stack(names)
            if values is not None:
                return values @ cell + origin if names[0].startswith("xs") else values
        images = self.stack(_IMAGES)
        if unwrap and images is not None:
            return self.positions() + images @ cell
        wanted = "xu yu zu, or x y z with ix iy iz" if unwrap else "x y z, xs ys zs or xu yu zu"
        raise DumpError(
            f"expected columns {wanted}, got {' '.join(self.header.columns)}",
            where=self.where,
            fix="add the columns to the dump command",
        )

    @property
    def velocities(self) -> np.ndarray | None:
        """Velocities in the file's unit, `[n_atoms, 3]`, or None."""
        return self.stack(("vx", "vy", "vz"))

    @property
    def forces(self) -> np.ndarray | None:
        """Forces in the file's unit, `[n_atoms, 3]`, or None."""
        return self.stack(("fx", "fy", "fz"))


def parse_frame(text: bytes, *, where: str, columns: frozenset[str] | None = None) -> DumpFrame:
    """Parse one whole frame.

    Args:
        text: the bytes of the frame, header included.
        where: file name for messages.
        columns: only these columns (and ``id``) are converted; all when None.

    Raises:
        DumpError: a line has the wrong number of fields or a field is not a number.
    """
    header = parse_header(text, where=where)
    body = text[header.length :]
    wanted = [name for name in header.columns if columns is None or name == "id" or name in columns]
    numbers, words = _parse_body(body, header, wanted, where)
    if "id" in numbers:
        ids = numbers["id"]
        if np.any(np.diff(ids) <= 0.0):
            order = np.argsort(ids, kind="stable")
            numbers = {name: values[order] for name, values in numbers.items()}
            words = {name: values[order] for name, values in words.items()}
            repeated = numbers["id"][1:][np.diff(numbers["id"]) == 0.0]
            if repeated.size:
                raise DumpError(
                    f"atom id {int(repeated[0])} occurs more than once",
                    where=where,
                    field=f"frame of step {header.step}",
                )
    return DumpFrame(header, numbers, words, where)


_SKIP, _NUMBER, _WORD = 0, 1, 2


def _parse_body(
    body: bytes, header: FrameHeader, wanted: list[str], where: str
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    words = [name for name in wanted if name in TEXT_COLUMNS]
    numbers = [name for name in wanted if name not in TEXT_COLUMNS]
    kinds = [
        (_WORD if name in TEXT_COLUMNS else _NUMBER) if name in wanted else _SKIP
        for name in header.columns
    ]
    try:
        table, texts = _dump.parse(body, header.n_atoms, kinds)
    except ValueError:
        _check_lines(body, header, where)
        raise
    return dict(zip(numbers, table, strict=True)), {
        name: np.array(text, dtype=object) for name, text in zip(words, texts, strict=True)
    }


def _check_lines(body: bytes, header: FrameHeader, where: str) -> None:
    """Find the line that is wrong and name it; the parser only says that there is one."""
    lines = body.splitlines()
    place = f"frame of step {header.step}"
    if len(lines) != header.n_atoms:
        raise DumpError(
            f"expected {header.n_atoms} atom lines, got {len(lines)}", where=where, field=place
        )
    for number, line in enumerate(lines, start=1):
        fields = line.decode("ascii", errors="replace").split()
        if len(fields) != len(header.columns):
            raise DumpError(
                f"expected {len(header.columns)} fields ({' '.join(header.columns)}), got "
                f"{len(fields)}",
                where=where,
                field=f"{place}, atom line {number}",
            )
        for name, field in zip(header.columns, fields, strict=True):
            if name in TEXT_COLUMNS:
                continue
            try:
                float(field)
            except ValueError:
                raise DumpError(
                    f"column {name} expected a number, got {field[:40]!r}",
                    where=where,
                    field=f"{place}, atom line {number}",
                ) from None
