# SPDX-License-Identifier: GPL-2.0-or-later
"""Diffusion, vibrations, momentum and equipartition, from the dump."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egraff.analysis.conservation import Conservation
from egraff.analysis.diffusion import MeanSquareDisplacement
from egraff.analysis.fields import even_interval
from egraff.analysis.runs import Run
from egraff.analysis.section import Section, production_frames, universe_of
from egraff.analysis.vibrations import VibrationalDensityOfStates
from egraff.errors import InputError

if TYPE_CHECKING:
    from egraff.analysis.pipeline import Parameters

_FEWEST_FRAMES = 50
#: Above this frame interval hydrogen vibrations (near 110 THz) fold back into the spectrum.
_LONGEST_INTERVAL_PS = 0.0045
#: Positions or velocities of a trajectory, in numbers of 8 bytes: 1.6 GB, twice that for a moment.
_MOST_NUMBERS = 2e8


def diffusion(run: Run, parameters: Parameters) -> Section:
    """MSD and D of every species of a periodic run."""
    section = Section()
    if not all(run.record.get("pbc", [True] * 3)):
        return section
    universe = universe_of(run, unwrap=True)
    times = universe.trajectory.times_ps
    first = production_frames(run, times, fewest=_FEWEST_FRAMES)
    even_interval(times[first:], str(run.dump))
    step = _thinning(len(times) - first, len(universe.atoms))
    analysis = MeanSquareDisplacement(universe.atoms).run(
        start=first, step=step, **parameters.processes(len(range(first, len(times), step)))
    )
    provenance = f"{run.dump.name}: frames {first} to {len(times) - 1} in steps of {step}"
    section.metrics += analysis.diffusion(provenance=provenance)
    half = len(analysis.results.lag_ps) // 2
    section.curves = {
        "msd/lag_ps": analysis.results.lag_ps[:half],
        "msd/msd": analysis.results.msd[:, :half],
        "msd/species": np.array(analysis.results.species),
    }
    return section


def _thinning(n_frames: int, n_atoms: int) -> int:
    return max(1, int(np.ceil(3.0 * n_frames * n_atoms / _MOST_NUMBERS)))


def vibrations(run: Run, parameters: Parameters) -> Section:
    """Vibrational density of states, where frames are close enough in time to show one."""
    section = Section()
    universe = universe_of(run)
    if not universe.trajectory.ts.has_velocities:
        return section
    times = universe.trajectory.times_ps
    first = production_frames(run, times, fewest=_FEWEST_FRAMES)
    interval = even_interval(times[first:], str(run.dump))
    if interval > _LONGEST_INTERVAL_PS:
        return section
    n_frames = min(len(times) - first, int(_MOST_NUMBERS / 3 / len(universe.atoms)))
    analysis = VibrationalDensityOfStates(universe.atoms).run(
        start=first, stop=first + n_frames, **parameters.processes(n_frames)
    )
    section.curves = {
        "vdos/frequency_THz": analysis.results.frequency_THz,
        "vdos/vdos": analysis.results.vdos,
        "vdos/species": np.array(analysis.results.species),
    }
    return section


def conservation(run: Run, parameters: Parameters) -> Section:
    """Centre-of-mass speed, net force, and the temperature of each species."""
    section = Section()
    universe = universe_of(run)
    if not universe.trajectory.ts.has_velocities or len(universe.atoms) < 2:
        return section
    times = universe.trajectory.times_ps
    try:
        first = production_frames(run, times, fewest=2)
    except InputError:
        first = 0  # momentum and net force can be told from any frame
    step = max(1, (len(times) - first) // parameters.max_frames)
    analysis = Conservation(universe.atoms).run(
        start=first, step=step, **parameters.processes(len(range(first, len(times), step)))
    )
    provenance = f"{run.dump.name}: frames {first} to {len(times) - 1} in steps of {step}"
    section.metrics += analysis.metrics(provenance=provenance)
    return section
