# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes after the last whole frame of a DCD or XTC file: a simulation that died wrote them.

MDAnalysis omits such a frame silently. Layouts: DCD, every frame but the first has one
size; XTC, ``xdrfile_xtc.c`` and ``xdrfile.c`` of GROMACS (big-endian, blocks padded to 4 bytes).
"""

from __future__ import annotations

import struct
from pathlib import Path

from MDAnalysis.lib.formats.libdcd import DCDFile
from MDAnalysis.lib.formats.libmdaxdr import XTCFile

from egraff.data.lammps.dump_scan import Problem

#: magic, atoms, step, time, 9 of the box, atoms again: 4 bytes each
_XTC_HEADER = 56
#: up to as many atoms XTC stores plain floats
_XTC_PLAIN_ATOMS = 9
#: precision, 3 smallest and 3 largest integers, index of the smallest size: 4 bytes each
_XTC_COMPRESSION = 32
#: from this magic number on (files of more than 300 million atoms) byte counts have 8 bytes
_XTC_LARGE_MAGIC = 2023


def bytes_after_last_frame(path: Path) -> int:
    """Bytes of a DCD or XTC that belong to no whole frame; 0 for a file that is whole.

    Raises:
        OSError: MDAnalysis cannot open the file.
    """
    end = _dcd_end(path) if path.suffix.lower() == ".dcd" else _xtc_end(path)
    return path.stat().st_size - end


def end_problems(path: Path, n_frames: int) -> list[Problem]:
    """What to tell of a file of which ``n_frames`` frames could be read.

    Raises:
        OSError: MDAnalysis cannot open the file.
    """
    left = bytes_after_last_frame(path)
    if left == 0:
        return []
    message = f"frame {n_frames} left out: {left} bytes after the last whole frame ({path})"
    return [Problem("truncated", message)]


def _dcd_end(path: Path) -> int:
    with DCDFile(str(path)) as file:
        later = max(len(file) - 1, 0)
        return file._header_size + file._firstframesize + later * file._framesize


def _xtc_end(path: Path) -> int:
    with XTCFile(str(path)) as file:
        last = int(file.offsets[-1])
    with path.open("rb") as stream:
        stream.seek(last)
        magic, n_atoms = struct.unpack(">ii", stream.read(8))
        if n_atoms <= _XTC_PLAIN_ATOMS:
            return last + _XTC_HEADER + 12 * n_atoms
        stream.seek(last + _XTC_HEADER + _XTC_COMPRESSION)
        count, layout = (8, ">q") if magic >= _XTC_LARGE_MAGIC else (4, ">i")
        (packed,) = struct.unpack(layout, stream.read(count))
    return last + _XTC_HEADER + _XTC_COMPRESSION + count + (packed + 3) // 4 * 4
