# SPDX-License-Identifier: GPL-2.0-or-later
"""Diffusion, vibrations, momentum and equipartition, from the dump."""

from __future__ import annotations

import numpy as np
from MDAnalysis.analysis.base import AnalysisBase

from egraff.analysis.conservation import Conservation
from egraff.analysis.context import AnalysisContext
from egraff.analysis.diffusion import MeanSquareDisplacement
from egraff.analysis.section import Section
from egraff.analysis.trajectory.fields import even_interval
from egraff.analysis.vibrations import VibrationalDensityOfStates

_FEWEST_FRAMES = 50
#: Above this frame interval hydrogen vibrations (near 110 THz) fold back into the spectrum.
_LONGEST_INTERVAL_PS = 0.0045
#: Positions or velocities of a trajectory, in numbers of 8 bytes: 1.6 GB, twice that for a moment.
_MOST_NUMBERS = 2e8


def diffusion(context: AnalysisContext) -> Section:
    """MSD and D of every species of a periodic run."""
    section = Section()
    run = context.run
    if not run.periodic:
        return section
    universe = context.universe(unwrap=True)
    times = universe.trajectory.times_ps
    frames = context.production_frames(times, fewest=_FEWEST_FRAMES)
    even_interval(times[frames], str(run.dump))
    step = _thinning(frames.stop - frames.start, len(universe.atoms))
    analysis = _run(MeanSquareDisplacement(universe.atoms), context, frames, step)
    provenance = _source(context, frames, step)
    section.metrics += analysis.diffusion(
        viscosity_mPa_s=context.parameters.viscosity_mPa_s,
        temperature_K=_temperature_K(context),
        provenance=provenance,
    )
    half = len(analysis.results.lag_ps) // 2
    section.curves = {
        "msd/lag_ps": analysis.results.lag_ps[:half],
        "msd/msd": analysis.results.msd[:, :half],
        "msd/species": np.array(analysis.results.species),
    }
    return section


def _temperature_K(context: AnalysisContext) -> float | None:
    """Temperature of the liquid: the thermostat's, else the log's mean over production."""
    if context.run.temperature_K and context.run.ensemble != "nve":
        return context.run.temperature_K
    if not context.run.log.is_file() or (values := context.column("temp")) is None:
        return None
    return float(np.nanmean(values[context.production(context.log_times_ps)]))


def _thinning(n_frames: int, n_atoms: int) -> int:
    return max(1, int(np.ceil(3.0 * n_frames * n_atoms / _MOST_NUMBERS)))


def vibrations(context: AnalysisContext) -> Section:
    """Vibrational density of states, where frames are close enough in time to show one."""
    section = Section()
    universe = context.universe()
    if not universe.trajectory.ts.has_velocities:
        return section
    times = universe.trajectory.times_ps
    frames = context.production_frames(times, fewest=_FEWEST_FRAMES)
    interval = even_interval(times[frames], str(context.run.dump))
    if interval > _LONGEST_INTERVAL_PS:
        return section
    most = int(_MOST_NUMBERS / 3 / len(universe.atoms))
    frames = slice(frames.start, min(frames.stop, frames.start + most))
    analysis = _run(VibrationalDensityOfStates(universe.atoms), context, frames)
    section.curves = {
        "vdos/frequency_THz": analysis.results.frequency_THz,
        "vdos/vdos": analysis.results.vdos,
        "vdos/species": np.array(analysis.results.species),
    }
    return section


def conservation(context: AnalysisContext) -> Section:
    """Centre-of-mass speed, net force, and the temperature of each species."""
    section = Section()
    universe = context.universe()
    if not universe.trajectory.ts.has_velocities or len(universe.atoms) < 2:
        return section
    times = universe.trajectory.times_ps
    frames = context.production(times)
    if frames.stop - frames.start < 2:
        frames = slice(0, len(times))  # momentum and net force can be told from any frame
    step = max(1, (frames.stop - frames.start) // context.parameters.max_frames)
    analysis = _run(
        Conservation(universe.atoms, forces=not context.run.added_forces), context, frames, step
    )
    section.metrics += analysis.metrics(provenance=_source(context, frames, step))
    return section


def _run(analysis: AnalysisBase, context: AnalysisContext, frames: slice, step: int = 1):
    """Run an analysis on every ``step``-th of these frames, shared out among the processes."""
    n_frames = len(range(frames.start, frames.stop, step))
    processes = context.parameters.processes(n_frames)
    return analysis.run(start=frames.start, stop=frames.stop, step=step, **processes)


def _source(context: AnalysisContext, frames: slice, step: int) -> str:
    return f"{context.run.dump.name}: frames {frames.start} to {frames.stop - 1} in steps of {step}"
