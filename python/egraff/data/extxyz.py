# SPDX-License-Identifier: GPL-2.0-or-later
"""Extended XYZ, read strictly: every line belongs to a frame, or the file is refused.

ASE's reader stops at the first blank line, leaves out columns that ``Properties`` does not
announce and closes quotes that never end. Here the lines are counted first; ASE then interprets
one complete frame at a time, so that every refusal names the frame.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from os import PathLike

from ase import Atoms
from ase.io.extxyz import read_xyz
from ase.io.formats import open_with_compression

from egraff.errors import InputError

# what ASE takes for one value: quotes and brackets, with escapes inside
_ENCLOSED = re.compile(
    r"""\\. | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | \{(?:\\.|[^}\\])*\} | \[(?:\\.|[^]\\])*\]""",
    re.VERBOSE | re.DOTALL,
)
_KEY = re.compile(r"(?:^|\s)([^\s=]+)\s*=")
_PROPERTIES = re.compile(r"Properties\s*=\s*[\"']?([^\s\"']+)")
_LATTICE_LINES = 3  # `VEC1` to `VEC3` may follow the atoms


def read_extxyz(path: str | PathLike[str]) -> list[Atoms]:
    """Read all frames of an extended (or plain) XYZ file.

    Args:
        path: the file, compressed or not; with a byte-order mark and line ends of any system.

    Returns:
        The frames in file order, with everything that the file says about them.

    Raises:
        InputError: no UTF-8 text, a line that belongs to no frame, a frame with fewer lines than it
            announces, a row with more or fewer columns than ``Properties`` says, a quote that does
            not end, a key given twice, or a value that is not what it should be. Names frame and
            line.
        OSError, EOFError: the file cannot be read or decompressed.
    """
    text = _text(path)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    images: list[Atoms] = []
    start = 0
    while start < len(lines):
        frame = _Frame(lines, start, number=len(images), where=path)
        images.append(frame.parse())
        start = frame.end
    if images and not text.endswith(("\n", "\r")):
        frame.check_last_row()
    return images


def _text(path: str | PathLike[str]) -> str:
    """Return the content of a text file, decompressed, without a byte-order mark."""
    with open_with_compression(str(path), "rb") as stream:
        content = stream.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"expected UTF-8 text, got the byte 0x{content[error.start]:02x} in line {line}",
            where=path,
            fix="convert the file to UTF-8, or write it again if it is damaged",
        ) from None


class _Frame:
    """The lines of one frame: number of atoms, comment, atoms, and lattice vectors if any."""

    def __init__(
        self, lines: list[str], start: int, *, number: int, where: str | PathLike[str]
    ) -> None:
        self.number = number
        self.where = where
        self.start = start
        n_atoms = self._announced(lines)
        self.end = start + 2 + n_atoms
        if self.end > len(lines):
            raise self._refusal(
                f"line {start + 1} announces {n_atoms} atoms, but only "
                f"{max(len(lines) - start - 2, 0)} lines of atoms follow to the end of the file",
                "complete the frame or remove it; an interrupted calculation leaves such an end",
            )
        self.comment = lines[start + 1]
        self.atoms = lines[start + 2 : self.end]
        for line in lines[self.end : self.end + _LATTICE_LINES]:
            if not line.lstrip().startswith("VEC"):
                break
            self.end += 1
        self.lines = lines[start : self.end]

    def parse(self) -> Atoms:
        """Return the frame as ASE atoms."""
        self._check_comment()
        self._check_columns()
        try:
            (image,) = read_xyz(io.StringIO("\n".join(self.lines) + "\n"), index=slice(None))
        except Exception as error:  # a wrong value fails in many ways
            raise self._refusal(
                f"cannot be read ({type(error).__name__}: {error})",
                f"correct the frame, which begins in line {self.start + 1}",
            ) from error
        return image

    def check_last_row(self) -> None:
        """Refuse a file that ends inside its last number, which would be read as another one.

        Where a file has no last line end, only rows of one length can tell.
        """
        lengths = {len(row) for row in self.atoms[:-1]}
        if len(self.atoms) > 2 and len(lengths) == 1 and len(self.atoms[-1]) < lengths.pop():
            raise self._refusal(
                f"the file ends inside line {self.start + 2 + len(self.atoms)}: "
                f"{self.atoms[-1].strip()!r:.60}",
                "complete the frame or remove it; an interrupted calculation leaves such an end",
            )

    def _announced(self, lines: list[str]) -> int:
        header = lines[self.start].strip()
        if header.isdecimal():
            return int(header)
        found = f"got {header!r:.60}" if header else "got a blank line"
        before = (
            f"; frame {self.number - 1} ends in line {self.start}, and {len(lines) - self.start} "
            "lines follow"
            if self.number
            else ""
        )
        raise self._refusal(
            f"expected the number of atoms in line {self.start + 1}, {found}{before}",
            "remove lines that belong to no frame, or correct the number of atoms before them",
        )

    def _check_comment(self) -> None:
        bare = _ENCLOSED.sub("_", self.comment)
        keys = Counter(key for key in _KEY.findall(bare) if key != "_")
        if keys and (opened := re.search(r"[\"'{\[]", bare)):
            raise self._refusal(
                f"the {opened[0]} in line {self.start + 2} is never closed: "
                f"{bare[opened.start() :]!r:.60}",
                "close it, or remove it",
            )
        if twice := [key for key, count in keys.items() if count > 1]:
            raise self._refusal(
                f"line {self.start + 2} gives {', '.join(twice)} more than once",
                "keep one value",
            )

    def _check_columns(self) -> None:
        announced = _PROPERTIES.search(self.comment)
        if announced is None:
            expected, at_most = 4, None  # plain XYZ; programs append columns without a name
        else:
            counts = announced[1].split(":")[2::3]
            if not counts or not all(count.isdecimal() for count in counts):
                raise self._refusal(
                    f"expected Properties as name:type:columns, got {announced[1]!r:.60}",
                    "write, for example, Properties=species:S:1:pos:R:3:forces:R:3",
                )
            expected = at_most = sum(int(count) for count in counts)
        for offset, row in enumerate(self.atoms):
            columns = len(row.split())
            if columns < expected or (at_most is not None and columns > at_most):
                raise self._refusal(
                    f"expected {expected} columns in line {self.start + 3 + offset}, got "
                    f"{columns}: {row.strip()!r:.60}",
                    "correct the line, the number of atoms, or Properties",
                )

    def _refusal(self, problem: str, fix: str) -> InputError:
        return InputError(problem, where=self.where, field=f"frame {self.number}", fix=fix)
