# SPDX-License-Identifier: GPL-2.0-or-later
"""What a LAMMPS log says about the conditions of each of its runs: units, time step, ensemble.

LAMMPS echoes every command into its log, once as written and once more after each variable is
replaced; the last form is the one that ran. `egraff.analysis.logs.thermo_log` reads the numbers.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ase.data import chemical_symbols

from egraff.analysis.logs.thermo_log import LOOP_LINE, START_LINE

#: Where ``pair_style egraff`` writes the deviations of a committee unless told otherwise.
DEVIATION_FILE = "egraff_deviation.txt"
_RUNS = ("run", "minimize", "rerun")
_ACCELERATED = {"omp", "kk", "gpu", "intel", "opt"}
#: Fixes that look on, or stop the run, and change no trajectory.
_PASSIVE = {"print", "halt", "vector", "dt/reset", "store/state", "store/force", "ave/time"}
_PASSIVE |= {"ave/atom", "ave/chunk", "ave/correlate", "ave/correlate/long", "ave/histo"}
#: Fixes that keep the system in place, which exchanges a little energy.
_HOLDING = {"momentum", "recenter"}
_THERMOSTATS = {"langevin", "temp/berendsen", "temp/csvr", "temp/csld", "temp/rescale"}
_BAROSTATS = {"press/berendsen"}
#: Fixes that leave forces to the pair style; friction, fields and springs add to them.
_NO_FORCES = {"nve", "nvt", "npt", "nph"} | _PASSIVE | _HOLDING | _BAROSTATS
_NO_FORCES |= _THERMOSTATS - {"langevin"}


@dataclass(frozen=True)
class Stage:
    """Conditions under which one run printed its thermo output.

    Attributes:
        command: ``run``, ``minimize`` or ``rerun``.
        units: LAMMPS unit style; None where the log does not show it (a restart file, echo off).
        timestep: in the unit of time of ``units``; None where no command sets it.
        fixes: style of every fix in force, without suffixes of accelerators.
        per_atom: whether energies are printed per atom (``thermo_modify norm yes``).
        models: files of ``pair_style egraff``; several are a committee.
        elements: element of each atom type, as given to ``pair_style egraff``; None without it.
        deviations: name of the file with the force deviations of a committee.
        target_K: highest temperature that a thermostat aims at; None without one. Stages that
            differ in it alone are one ramp.
    """

    command: str = "run"
    units: str | None = None
    timestep: float | None = None
    fixes: tuple[str, ...] = ()
    per_atom: bool = False
    models: tuple[str, ...] = ()
    elements: tuple[str, ...] | None = None
    deviations: str = DEVIATION_FILE
    target_K: float | None = field(default=None, compare=False)

    @property
    def ensemble(self) -> str:
        """``nve``, ``nvt`` or ``npt``; ``unknown`` with any fix that is not known to keep it."""
        acting = set(self.fixes) - _PASSIVE
        if acting == {"nve"}:
            return "nve"
        acting -= _HOLDING
        if acting in ({"nvt"}, {"npt"}):
            return acting.pop()
        coupled = acting - {"nve"}
        if acting == coupled or not coupled or not coupled <= _THERMOSTATS | _BAROSTATS:
            return "unknown"
        return "npt" if coupled & _BAROSTATS else "nvt"

    @property
    def added_forces(self) -> str | None:
        """A fix that adds to the forces that a dump shows, or may do so."""
        return next((f"fix {style}" for style in self.fixes if style not in _NO_FORCES), None)

    def __str__(self) -> str:
        """Name it for people."""
        return f"run ({self.ensemble})" if self.command == "run" else self.command

    @property
    def variable_timestep(self) -> bool:
        """Whether a fix changes the time step as the run goes on."""
        return "dt/reset" in self.fixes


@dataclass
class _State:
    """Commands so far."""

    stage: Stage = Stage()
    fixes: dict[str, str] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)
    egraff: bool = False

    def command(self, words: list[str]) -> None:
        """Take one line; "fix style: nve" and the like are remarks of LAMMPS, not commands."""
        handle = _HANDLERS.get(words[0])
        if handle and not (len(words) > 1 and words[1].endswith(":")):
            with suppress(IndexError, ValueError):  # a line of another program in between
                handle(self, words)

    def now(self) -> Stage:
        """Conditions of a run that starts now."""
        targets = [self.targets[name] for name in self.fixes if name in self.targets]
        target = max(targets, default=None)
        return replace(self.stage, fixes=tuple(self.fixes.values()), target_K=target)


def read_stages(path: str | os.PathLike[str]) -> list[Stage]:
    """Conditions of each run in a log, in the order of `ThermoLog.runs`.

    Args:
        path: the log.
    """
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    state, stages = _State(), []
    pending: Stage | None = None  # of a table whose first line is still to come
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith(START_LINE):
            pending = state.now()
        elif LOOP_LINE.search(stripped):
            pending = None
        elif pending is not None and stripped and not stripped.startswith(("ERROR", "WARNING")):
            stages.append(pending)
            pending = None
        # a line with $ follows once more with its value
        if "$" not in stripped and (words := stripped.split("#")[0].split()):
            state.command(words)
    return stages


def _units(state: _State, words: list[str]) -> None:
    state.stage = replace(state.stage, units=words[1], timestep=None)


def _timestep(state: _State, words: list[str]) -> None:
    state.stage = replace(state.stage, timestep=float(words[1]))


def _run(state: _State, words: list[str]) -> None:
    state.stage = replace(state.stage, command=words[0])


def _fix(state: _State, words: list[str]) -> None:
    parts = words[3].split("/")
    while len(parts) > 1 and parts[-1] in _ACCELERATED:
        parts.pop()
    style = state.fixes[words[1]] = "/".join(parts)
    state.targets.pop(words[1], None)
    if style in _THERMOSTATS:  # fix ID group style [N of temp/rescale] Tstart Tstop ...
        first = 5 if style == "temp/rescale" else 4
        state.targets[words[1]] = max(map(float, words[first : first + 2]))
    elif style in ("nvt", "npt") and "temp" in words:
        first = words.index("temp") + 1
        state.targets[words[1]] = max(map(float, words[first : first + 2]))


def _unfix(state: _State, words: list[str]) -> None:
    state.fixes.pop(words[1], None)


def _afresh(state: _State, _words: list[str]) -> None:
    """``clear`` and ``read_restart``: there are no fixes, but units stay what they were."""
    state.fixes.clear()


def _thermo_modify(state: _State, words: list[str]) -> None:
    if "norm" in words[:-1]:
        state.stage = replace(state.stage, per_atom=words[words.index("norm") + 1] == "yes")


def _pair_style(state: _State, words: list[str]) -> None:
    state.egraff = "egraff" in words
    named = words[words.index("devi_file") + 1] if "devi_file" in words else DEVIATION_FILE
    state.stage = replace(state.stage, models=(), elements=None, deviations=named)


def _pair_coeff(state: _State, words: list[str]) -> None:
    """``pair_coeff * * [egraff] MODEL ... EL ...``."""
    if not state.egraff or words[1:3] != ["*", "*"]:
        return
    rest = words[4:] if words[3] == "egraff" else words[3:]
    n_models = len(rest)
    while n_models > 1 and rest[n_models - 1] in (*chemical_symbols[1:], "NULL"):
        n_models -= 1
    if n_models < len(rest):
        models, elements = tuple(rest[:n_models]), tuple(rest[n_models:])
        state.stage = replace(state.stage, models=models, elements=elements)


_HANDLERS: dict[str, Callable[[_State, list[str]], None]] = {
    "units": _units,
    "timestep": _timestep,
    "fix": _fix,
    "unfix": _unfix,
    "clear": _afresh,
    "read_restart": _afresh,
    "thermo_modify": _thermo_modify,
    "pair_style": _pair_style,
    "pair_coeff": _pair_coeff,
    **dict.fromkeys(_RUNS, _run),
}
"""What each command changes, by its name."""
