# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a low force error makes a good simulation: the main claim of Bihani et al. (2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import spearmanr

from egraff.benchmark.comparison import RANKED, Index, summary_cell
from egraff.benchmark.figures import accuracy_and_simulation
from egraff.benchmark.plan import PlanFile
from egraff.benchmark.summaries import Summary, summarise
from egraff.report.parts import Drawing, Section
from egraff.report.tables import Column, Table, text_cell
from egraff.statistics import summary_over_runs

TRIVIAL, SURVIVED, DISTANCE = (
    "trivial_force_mae_ev_per_ang",
    "survived",
    "wasserstein_over_noise",
)
_FEWEST_MODELS = 4  # three values in order are so by chance one time in six
_COMPARED = {
    SURVIVED: ("share of runs that survived", -1.0),
    DISTANCE: ("W1 of g(r) over its noise", 1.0),
}

#: Numbers of one model on one test by metric.
Found = Mapping[str, Summary | None]


def claims_section(file: PlanFile, index: Index) -> Section:
    """Return figure and table of force errors against what simulations are like."""
    section = Section(
        "claims",
        "Does a low force error make a good simulation?",
        "Each point is a model on a test. The benchmark’s main claim (Bihani et al. 2024) is that "
        "force errors do not tell whether a simulation is stable or its structure right.",
        short="Claims",
    )
    by_test = [
        _found_on(file, index, set_name, test_name)
        for set_name, dataset in file.plan.sets.items()
        for test_name in dataset.tests
    ]
    points = [point for found in by_test for point in found.items()]
    if not points:
        return section
    models = list(file.plan.models)
    section.drawings.append(
        Drawing(
            "force-error-and-simulation",
            "Force error, relative to that of predicting zero, against the share of runs that "
            "survived, and against the distance of g(r) from the reference over its noise.",
            lambda palette: accuracy_and_simulation(points, models, palette),
        )
    )
    body = []
    for metric, (title, sign) in _COMPARED.items():
        values = rank_correlations(list(map(dict.values, by_test)), metric, sign)
        summary = None
        if values:
            mean = summary_over_runs(values)
            summary = Summary(mean.value, mean.error, "tests", len(values))
        body.append([text_cell(title), summary_cell(summary), text_cell(len(values))])
    section.tables.append(
        Table(
            "rank-correlations",
            "Spearman’s rank correlation between force error and simulation over the models of a "
            "test, averaged over tests: 1 if the model with less force error always simulates "
            "better, 0 if it tells nothing.",
            [Column("Of the force error with", numeric=False), Column("ρ"), Column("Tests")],
            body,
        )
    )
    return section


def _found_on(file: PlanFile, index: Index, set_name: str, test_name: str) -> dict[str, Found]:
    """Return the numbers of each model that was both evaluated and simulated."""
    every = {
        model: {
            metric: summarise(index.get((model, set_name, test_name, metric), []))
            for metric in (RANKED, TRIVIAL, SURVIVED, DISTANCE)
        }
        for model in file.plan.models
    }
    return {
        model: found
        for model, found in every.items()
        if found[RANKED] is not None and found[SURVIVED] is not None
    }


def rank_correlations(tests: Sequence[Sequence[Found]], metric: str, sign: float) -> list[float]:
    """Return Spearman's correlation of force error and a metric over the models of each test.

    Args:
        tests: for each test the numbers of its models.
        metric: what the force error is compared with.
        sign: -1 where more of it is better.

    Returns:
        Of tests with at least four models that have both and are not all alike.
    """
    values = []
    for models in tests:
        pairs = [
            (found[RANKED].value, sign * found[metric].value)
            for found in models
            if found[metric] is not None
        ]
        if len(pairs) < _FEWEST_MODELS:
            continue
        errors, others = np.transpose(pairs)
        if np.ptp(errors) > 0 and np.ptp(others) > 0:
            values.append(float(spearmanr(errors, others).statistic))
    return values
