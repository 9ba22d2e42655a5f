# SPDX-License-Identifier: GPL-2.0-or-later
"""LAMMPS dumps in MDAnalysis: trajectory reader and topology parser ``EGRAFFDUMP``.

Importing this module registers both, so that

    MDAnalysis.Universe("dump.lammpstrj", format="EGRAFFDUMP", topology_format="EGRAFFDUMP")

works. They differ from MDAnalysis's own ``LAMMPSDUMP`` in what they accept (UNITS and TIME
sections, general triclinic boxes, repeated and truncated frames), in unwrapping tilted boxes
correctly, in keeping float64 (`Timestep` arrays are float32; the same values in double precision
are in ``ts.data["positions"]``, ``["velocities"]`` and ``["forces"]``), and in speed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

import MDAnalysis
import numpy as np
from ase.data import atomic_masses, atomic_numbers
from MDAnalysis.coordinates.base import ReaderBase
from MDAnalysis.core import topologyattrs
from MDAnalysis.core.groups import AtomGroup
from MDAnalysis.core.topology import Topology
from MDAnalysis.lib.mdamath import triclinic_box
from MDAnalysis.topology.base import TopologyReaderBase

from egraff.data.lammps.dump_file import DumpFile
from egraff.data.lammps.dump_format import TEXT_COLUMNS, DumpError, DumpFrame
from egraff.data.lammps.dump_scan import Problem, read_first_frame
from egraff.data.lammps.elements import elements_of_frame
from egraff.data.lammps.unit_styles import unit_style
from egraff.errors import InputError

FORMAT = "EGRAFFDUMP"

_READ = frozenset(f"{axis}{kind}" for axis in "xyz" for kind in ("", "s", "u", "su")) | frozenset(
    ("ix", "iy", "iz", "vx", "vy", "vz", "fx", "fy", "fz", "id", "type")
)


def standard_cell(cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower-triangular form of a cell and the rotation that leads to it.

    Args:
        cell: box vectors as rows, right-handed, `[3, 3]`.

    Returns:
        ``(lower, rotation)`` with ``cell @ rotation == lower``; positions turn by
        ``positions @ rotation``.
    """
    q, r = np.linalg.qr(cell.T)
    signs = np.sign(np.diag(r))
    rotation = q * signs
    return np.tril(cell @ rotation), rotation


class EgraffDumpReader(ReaderBase):
    """Trajectory reader for LAMMPS text dumps (orthogonal, triclinic and general triclinic).

    Positions are in Angstrom relative to the lower corner of the box, velocities in Angstrom/ps,
    forces in eV/Angstrom, times in ps. Atoms are in order of id; a trajectory whose frames hold
    other ids or other types than the first is refused, as is one of several frames without ids
    (LAMMPS reorders atoms as it goes). Frames of a general triclinic box are turned into the
    lower-triangular orientation that MDAnalysis assumes, vectors with them.

    Args:
        filename: the dump, plain or compressed by gzip, bzip2 or zstd.
        timestep_fs: MD time step in fs, to turn steps into times where the dump has no TIME.
        units: LAMMPS unit style of a dump that does not state it, ``metal`` or ``real``.
        unwrap: give unwrapped positions.
        additional_columns: numeric columns to put into ``ts.data``; True for all others.
        save_index: see `DumpFile`.
        first_step: the same.
        start_ps: time from which times are counted.

    Attributes:
        problems: what was left out of the dump and why, see `DumpFile`.
    """

    format = FORMAT
    units: ClassVar[dict[str, str]] = {
        "time": "ps",
        "length": "Angstrom",
        "velocity": "Angstrom/ps",
    }

    def __init__(
        self,
        filename: str | os.PathLike[str],
        *,
        timestep_fs: float | None = None,
        units: str = "metal",
        unwrap: bool = False,
        additional_columns: Sequence[str] | bool = (),
        save_index: bool = False,
        first_step: int | None = None,
        start_ps: float = 0.0,
        **kwargs,
    ) -> None:
        super().__init__(filename, **kwargs)
        self.dump = DumpFile(self.filename, save_index=save_index, first_step=first_step)
        self.problems = list(self.dump.problems)
        style = unit_style(self.dump.units or units, where=self.filename)
        self._time, self._velocity, self._force = style.time, style.velocity, style.energy
        self._timestep_ps = None if timestep_fs is None else timestep_fs * 1e-3
        self._start_ps = start_ps
        self._unwrap = unwrap
        self._keep_atom_number()
        self._columns, self._extra = self._choose_columns(additional_columns)
        self._current = -1
        self._identity: dict[str, np.ndarray] | None = None
        if self.n_frames > 1 and "id" not in self.dump.first.columns:
            raise DumpError(
                f"expected a column id, got {' '.join(self.dump.first.columns)}: atoms change "
                "their order from frame to frame",
                where=self.filename,
                fix="add id to the dump command",
            )
        self.ts = self._Timestep(self.n_atoms, reader=self, **self._ts_kwargs)
        self._read_frame(0)

    def _keep_atom_number(self) -> None:
        entries = self.dump.entries
        self.n_atoms = entries[0].n_atoms
        self._frames = [i for i, entry in enumerate(entries) if entry.n_atoms == self.n_atoms]
        other = len(entries) - len(self._frames)
        if other:
            changed = next(entry for entry in entries if entry.n_atoms != self.n_atoms)
            self.problems.append(
                Problem(
                    "atoms-changed",
                    f"{other} frames left out: from step {changed.step} on the number of atoms is "
                    f"not {self.n_atoms} ({changed.n_atoms} there) ({self.filename})",
                )
            )

    def _choose_columns(self, extra: Sequence[str] | bool) -> tuple[frozenset[str], list[str]]:
        present = self.dump.first.columns
        others = [name for name in present if name not in (_READ - {"type"}) | TEXT_COLUMNS]
        names = others if extra is True else list(extra or ())
        for name in names:
            if name not in others:
                raise DumpError(
                    f"expected one of the columns {' '.join(others) or '(none)'}, got {name}",
                    where=self.filename,
                    field="additional_columns",
                )
        return _READ | frozenset(names), names

    @property
    def n_frames(self) -> int:
        """Number of readable frames."""
        return len(self._frames)

    @property
    def steps(self) -> np.ndarray:
        """MD step of each frame, `[n_frames]`."""
        return self.dump.steps[self._frames]

    @property
    def times_ps(self) -> np.ndarray | None:
        """Time of each frame in ps, `[n_frames]`; None when neither file nor caller says it."""
        times = self.dump.times[self._frames] * self._time
        if np.all(np.isfinite(times)):
            return times - self._start_ps
        if self._timestep_ps is None:
            return None
        return self.steps * self._timestep_ps - self._start_ps

    def _get_dt(self) -> float:
        times = self.times_ps
        if times is None or len(times) < 2:
            return super()._get_dt()
        return float(times[1] - times[0])

    def _reopen(self) -> None:
        self._current = -1
        self.ts.frame = -1

    def close(self) -> None:
        """Close the file."""
        if hasattr(self, "dump"):
            self.dump.close()

    def _read_next_timestep(self):
        if self._current + 1 >= self.n_frames:
            raise EOFError
        return self._read_frame(self._current + 1)

    def _read_frame(self, frame: int):
        entry = self._frames[frame]
        self._fill(self.dump.read(entry, columns=self._columns))
        self._current = frame
        self.ts.frame = frame
        times = self.dump.entries[entry].time * self._time
        if np.isfinite(times):
            self.ts.data["time"] = times - self._start_ps
        elif self._timestep_ps is not None:
            step = self.dump.entries[entry].step
            self.ts.data["time"] = step * self._timestep_ps - self._start_ps
        return self.ts

    def _check_identity(self, frame: DumpFrame) -> None:
        """Raise when ids or types are not those of the first frame read."""
        own = {name: frame.numbers[name] for name in ("id", "type") if name in frame.numbers}
        if self._identity is None:
            self._identity = own
        for name, values in own.items():
            first = self._identity.get(name)
            if first is None or np.array_equal(values, first):
                continue
            bad = int(np.flatnonzero(values != first)[0])
            whose = "" if name == "id" else f" of atom id {int(own['id'][bad])}"
            raise DumpError(
                f"expected the atoms of the first frame, {name} {int(first[bad])}{whose}, got "
                f"{int(values[bad])}",
                where=self.filename,
                field=f"frame of step {frame.header.step}",
                fix="dump one group of atoms that stay what they are",
            )

    def check_topology(self, atoms: AtomGroup) -> None:
        """Raise `DumpError` when ``atoms`` are not those of the frames.

        Atoms are made from the first frame of a file; frames of an earlier run in it are dropped.
        """
        known = self._identity or {}
        own = {"id": atoms.ids, "type": atoms.types.astype(np.int64)}
        for name in known:
            if not np.array_equal(own[name], known[name]):
                raise DumpError(
                    f"expected one system in all frames, got two: another {name} in the first",
                    where=self.filename,
                    fix="keep only the frames of one run in the file",
                )

    def _fill(self, frame: DumpFrame) -> None:
        self._check_identity(frame)
        ts, header = self.ts, frame.header
        lower, rotation = header.cell, None
        if header.general:
            lower, rotation = standard_cell(header.cell)
        ts.dimensions = triclinic_box(*lower)
        positions = frame.positions(unwrap=self._unwrap) - header.origin
        velocities, forces = frame.velocities, frame.forces
        if rotation is not None:
            positions = positions @ rotation
            velocities = None if velocities is None else velocities @ rotation
            forces = None if forces is None else forces @ rotation
        ts.positions = ts.data["positions"] = positions
        ts.has_velocities = velocities is not None
        if velocities is not None:
            ts.velocities = ts.data["velocities"] = velocities * self._velocity
        ts.has_forces = forces is not None
        if forces is not None:
            ts.forces = ts.data["forces"] = forces * self._force
        ts.data["step"] = header.step
        ts.data["cell"] = lower
        ts.data["unwrapped_by_cell"] = self._unwrap
        ts.data["pbc"] = header.pbc
        for name in self._extra:
            ts.data[name] = frame.numbers[name]


class EgraffDumpParser(TopologyReaderBase):
    """Atoms of a LAMMPS dump: ids, types, and elements, masses and charges where it has them.

    Args (of `parse`):
        elements: element symbol of LAMMPS type 1, 2, ...; needed only when the dump has no
            ``element`` column, and checked against it where it has one; see
            `egraff.data.lammps.elements`.
    """

    format = FORMAT

    def parse(
        self, elements: Sequence[str] | None = None, first_step: int | None = None, **_
    ) -> Topology:
        """Read the first whole frame; raises `InputError` when an element is not one."""
        frame = read_first_frame(self.filename, first_step)
        n_atoms = frame.header.n_atoms
        numbers = frame.numbers
        ids = numbers.get("id", np.arange(1, n_atoms + 1)).astype(np.int64)
        types = numbers.get("type", np.ones(n_atoms)).astype(np.int64)
        attributes = [
            topologyattrs.Atomids(ids),
            topologyattrs.Atomtypes(types.astype(str).astype(object)),
            topologyattrs.Resids(np.array([1])),
            topologyattrs.Resnums(np.array([1])),
            topologyattrs.Segids(np.array(["SYSTEM"], dtype=object)),
        ]
        symbols = elements_of_frame(frame, elements)
        if symbols is not None:
            masses = np.array([atomic_masses[atomic_numbers[symbol]] for symbol in symbols])
            attributes += [
                topologyattrs.Elements(np.array(symbols, dtype=object)),
                topologyattrs.Atomnames(np.array(symbols, dtype=object)),
                topologyattrs.Masses(numbers.get("mass", masses)),
            ]
        elif "mass" in numbers:
            attributes.append(topologyattrs.Masses(numbers["mass"]))
        if "q" in numbers:
            attributes.append(topologyattrs.Charges(numbers["q"]))
        return Topology(n_atoms, 1, 1, attrs=attributes)


def open_universe(
    path: str | os.PathLike[str], *, elements: Sequence[str] | None = None, **options
) -> MDAnalysis.Universe:
    """Open a LAMMPS dump as an MDAnalysis universe.

    Args:
        path: the dump.
        elements: element of each LAMMPS type, for dumps without an ``element`` column.
        options: arguments of `EgraffDumpReader`.

    Raises:
        InputError: the dump cannot be read, or its elements contradict each other.
    """
    try:
        universe = MDAnalysis.Universe(
            str(path),
            format=FORMAT,
            topology_format=FORMAT,
            elements=elements,
            to_guess=(),
            **options,
        )
    except ValueError as error:
        # MDAnalysis wraps what a parser raises; the cause is what the user can act on
        if isinstance(error.__context__, InputError):
            raise error.__context__ from None
        raise
    universe.trajectory.check_topology(universe.atoms)
    return universe
