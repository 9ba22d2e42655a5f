# SPDX-License-Identifier: GPL-2.0-or-later
"""How far the models of a committee that drove a run disagreed."""

from __future__ import annotations

import numpy as np

from egraff.analysis.context import AnalysisContext
from egraff.analysis.section import Section
from egraff.analysis.series import mean_metric
from egraff.data.lammps.unit_styles import unit_style
from egraff.errors import InputError
from egraff.units import PS_PER_FS


def committee(context: AnalysisContext) -> Section:
    """Mean over time of the largest force deviation of any atom, meV/A.

    Raises:
        InputError: the file is not one that ``pair_style egraff`` writes.
    """
    run = context.run
    path, conditions = run.deviations, run.conditions
    try:
        rows = np.loadtxt(path, ndmin=2)
        step, largest = rows[:, 0], rows[:, 1]
    except (ValueError, IndexError, OSError) as error:
        raise InputError(
            f"expected lines of step, maximum, minimum and mean, got: {error}",
            where=path,
            fix="give the file that pair_style egraff wrote, or remove it",
        ) from None
    if conditions.timestep_fs is not None:
        times = step * conditions.timestep_fs * PS_PER_FS - conditions.start_ps
        largest = largest[context.production(times)]
    if not len(largest):
        return Section(problems=[f"{path.name}: no line of production"])
    metric = mean_metric(
        "committee_deviation",
        1e3 * unit_style(conditions.units, where=path).energy * largest,
        "meV/A",
        "largest force deviation of any atom, sqrt(<|F_m - <F>|^2>) over the models m, mean over "
        "time",
        f"{path.name}: {len(largest)} lines",
    )
    return Section([metric])
