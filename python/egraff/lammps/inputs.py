# SPDX-License-Identifier: GPL-2.0-or-later
"""The LAMMPS input script of a run, as a person would write it.

The script runs by hand as well (``lmp -in in.lammps`` inside the run directory). A resumed run
gets a second script, which starts from a restart file and appends to the log and the trajectory.
"""

from __future__ import annotations

from collections.abc import Sequence

from egraff.lammps.guard_stop import STOPPED_FILE, TEMPERATURE_FIX
from egraff.lammps.guards import Guards
from egraff.lammps.inputs_ensemble import (
    Stage,
    Start,
    System,
    conserved_column,
    dof_line,
    ensemble_of,
    fix_names,
    integrator_lines,
)
from egraff.lammps.run_settings import RunSettings

DATA_FILE = "structure.data"
LOG_FILE = "log.lammps"
EQUILIBRATION_LOG = "log.equilibrate"
DUMP_FILE = "dump.lammpstrj"
FINAL_DATA_FILE = "final.data"
STOP_FILE = "stop"
RESTART_DIRECTORY = "restarts"

STOP_EVERY = 10
"""Steps between looks at stop file and temperature: often enough for slow models, invisible for
fast ones."""


def pair_lines(
    model: str,
    elements: Sequence[str],
    *,
    device: str,
    threads: int,
    guards: Guards | None = None,
) -> list[str]:
    """Return the lines that select the force field.

    Args:
        model: name of the exported model in the run directory (:func:`~.model_link.link_model`).
        elements: element of each atom type.
        device: auto, cpu or cuda.
        threads: threads per rank.
        guards: limits on distances and forces; None for none.
    """
    limits = ""
    if guards and guards.min_distance:
        pairs = (f"{pair}:{distance:.6g}" for pair, distance in guards.min_distance.items())
        limits += f" min_distance {','.join(pairs)}"
    if guards and guards.max_force is not None:
        limits += f" max_force {guards.max_force:.6g}"
    return [
        f"pair_style      egraff device {device} threads {threads}{limits}",
        f"pair_coeff      * * {model} {' '.join(elements)}",
    ]


def render(
    settings: RunSettings,
    system: System,
    force_field: Sequence[str],
    *,
    start: Start | None = None,
    title: str = "",
    max_temperature: float | None = None,
) -> str:
    """Return the text of the input script.

    Args:
        settings: the settings of the run.
        system: what the structure is like.
        force_field: the lines of :func:`pair_lines`.
        start: where to start from; None for the data file.
        title: one line about the run, for the reader.
        max_temperature: where the production stops, in K; None for no limit. Equilibration may
            begin far from equilibrium.
    """
    start = start or Start()
    equilibrate = start.stage == "equilibrate" and settings.equilibrate_steps > 0
    sections = [
        _header(start, title),
        _system(settings, system, start, equilibrate=equilibrate),
        ["# --- Force field ---", *force_field, *_NEIGHBOUR_LINES],
        _motion(settings),
    ]
    if start.restart is None:
        sections.append(_velocities(settings, system))
    sections.append(_output(settings, system))
    if equilibrate:
        sections.append(_equilibration(settings, system, start))
    if max_temperature is not None:
        sections.append(_temperature_guard(max_temperature))
    sections.append(_production(settings, system, start, max_temperature))
    return "\n".join("\n".join(section) + "\n" for section in sections)


_NEIGHBOUR_LINES = [
    "# a thin skin: the model costs time, not the list, and ghosts cost messages",
    "neighbor        1.0 bin",
    "neigh_modify    every 1 delay 0 check yes",
]


def _header(start: Start, title: str) -> list[str]:
    """Tell the reader what this is and how to use it."""
    by_hand = (
        "lmp -in in.lammps"
        if start.restart is None
        else "lmp -log none -in in.resume.lammps   (-log none keeps the log that is appended to)"
    )
    return [
        f"# {title or 'Molecular dynamics with pair_style egraff'}",
        f"# By hand, in this directory: {by_hand}",
        f"# A file named `{STOP_FILE}` in this directory ends the run cleanly.",
    ]


def _system(settings: RunSettings, system: System, start: Start, *, equilibrate: bool) -> list[str]:
    """Open the log and read the atoms."""
    append = "" if start.restart is None else " append"
    log = EQUILIBRATION_LOG if equilibrate else LOG_FILE
    lines = [
        "# --- System: metal units are eV, Angstrom, ps, K, bar ---",
        f"log             {log}{append}",
    ]
    if start.restart is not None:
        return [*lines, f"read_restart    {start.restart}"]
    boundary = " ".join("p" if periodic else "m" for periodic in system.pbc)
    lines += ["units           metal", "atom_style      atomic"]
    if not all(system.pbc):
        lines.append("# m: the walls follow atoms that cross them, none is ever lost")
    lines += [
        f"boundary        {boundary}",
        "newton          on",
        f"read_data       {DATA_FILE}",
    ]
    if settings.ensemble == "npt" and settings.barostat == "tri" and not system.triclinic:
        lines.append("change_box      all triclinic")
    return lines


def _motion(settings: RunSettings) -> list[str]:
    """Set the time step."""
    return ["# --- Motion ---", f"timestep        {settings.timestep_ps!r}  # ps"]


def _velocities(settings: RunSettings, system: System) -> list[str]:
    """Set the first velocities."""
    first: Stage = "equilibrate" if settings.equilibrate_steps else "production"
    lines = [dof_line(settings, system, first)]
    if settings.velocities == "draw":
        rotation = "yes" if system.molecule else "no"
        lines.append(
            f"velocity        all create {settings.temperature:.12g} {settings.seed} "
            f"mom yes rot {rotation} dist gaussian temp thermo_temp"
        )
    elif settings.velocities == "zero":
        lines.append("velocity        all set 0.0 0.0 0.0")
    elif ensemble_of(settings, first) != "nve":
        lines.append("velocity        all zero linear")
        if system.molecule and settings.thermostat != "langevin":
            lines.append("velocity        all zero angular")
    return lines


def _output(settings: RunSettings, system: System) -> list[str]:
    """Choose the log's columns and watch the stop file."""
    columns = "step time temp pe ke etotal press vol pxx pyy pzz pxy pxz pyz"
    if conserved_column(settings) == "Econserve":
        columns += " econserve"
    if settings.ensemble == "npt":
        columns += " lx ly lz"
        if system.triclinic or settings.barostat == "tri":
            columns += " xy xz yz"
    return [
        "# --- Output ---",
        f"thermo          {settings.thermo_every}",
        f"thermo_style    custom {columns}",
        "thermo_modify   format float %.12g lost error flush yes",
        f"variable        stop equal is_file({STOP_FILE})",
        f"fix             stop all halt {STOP_EVERY} v_stop > 0 error soft message yes",
    ]


def _temperature_guard(limit: float) -> list[str]:
    """End the run where it is too hot."""
    return [
        "# --- Guard ---",
        "variable        temperature equal temp",
        f"fix             {TEMPERATURE_FIX} all halt {STOP_EVERY} v_temperature > {limit:.6g} "
        "error soft message yes",
    ]


def _stopped_by_temperature(limit: float | None, system: System) -> list[str]:
    """Save the configuration if that is why the run ended."""
    if limit is None:
        return []
    return [
        f'if              "$(v_temperature) > {limit:.6g}" then &',
        f'  "write_dump all custom {STOPPED_FILE} id type element x y z vx vy vz modify sort id '
        f'element {" ".join(system.elements)} format float %.15g"',
    ]


def _equilibration(settings: RunSettings, system: System, start: Start) -> list[str]:
    """Reach the temperature before anything is recorded."""
    n_steps = settings.equilibrate_steps
    lines = [
        "# --- Equilibration: not part of the results ---",
        dof_line(settings, system, "equilibrate"),
        *_restart_line(settings, "equilibrate"),
        *integrator_lines(settings, system, "equilibrate", start),
        'print           "Stage: equilibration"',
        f"run             {n_steps} upto",
        f"write_restart   {RESTART_DIRECTORY}/equilibrate.*.restart",
        f'if              "$(step) < {n_steps}" then quit',
        *(f"unfix           {name}" for name in fix_names(settings, "equilibrate")),
        "reset_timestep  0",
    ]
    if settings.ensemble == "nve":
        lines.append("velocity        all zero linear")
        if system.molecule:
            lines.append("velocity        all zero angular")
    return [*lines, f"log             {LOG_FILE}"]


def _production(
    settings: RunSettings, system: System, start: Start, max_temperature: float | None
) -> list[str]:
    """Run what is recorded."""
    lines = [
        f"# --- {settings.ensemble.upper()} ---",
        dof_line(settings, system, "production"),
        *_restart_line(settings, "production"),
        *integrator_lines(settings, system, "production", start),
    ]
    if settings.dump_every:
        append = " append yes" if start.stage == "production" and start.restart else ""
        lines += [
            f"dump            trajectory all custom {settings.dump_every} {DUMP_FILE} "
            "id type element x y z ix iy iz vx vy vz fx fy fz",
            f"dump_modify     trajectory sort id element {' '.join(system.elements)} "
            f"format float %.10g{append}",
        ]
    return [
        *lines,
        'print           "Stage: production"',
        f"run             {settings.steps} upto",
        *_stopped_by_temperature(max_temperature, system),
        f"write_restart   {RESTART_DIRECTORY}/production.*.restart",
        f'if              "$(step) < {settings.steps}" then quit',
        f"write_data      {FINAL_DATA_FILE} nocoeff",
    ]


def _restart_line(settings: RunSettings, stage: Stage) -> list[str]:
    """Write restart files on the way, under the stage's own name."""
    if not settings.restart_every:
        return []
    return [f"restart         {settings.restart_every} {RESTART_DIRECTORY}/{stage}.*.restart"]
