# SPDX-License-Identifier: GPL-2.0-or-later
"""From a correlated time series to a metric."""

from __future__ import annotations

import numpy as np

from egraff.analysis.metric import Metric
from egraff.statistics import Mean, mean_with_error

TOO_FEW = "too few independent samples for an error"


#: Where fluctuations cancel over time their spectrum falls towards zero faster than can be told.
UPPER_BOUND = "fluctuations cancel over time: the error is an upper bound"


def remark(mean: Mean, duration_ps: float | None = None) -> str | None:
    """Say why a mean has no error, and how long a run should be; or what its error is not.

    Args:
        mean: the mean.
        duration_ps: of its series, when known.
    """
    if mean.longer is None:
        return UPPER_BOUND if mean.cancels else None
    how_long = f"{mean.longer:.2g} times as long"
    if duration_ps is not None:
        how_long += f", {mean.longer * duration_ps:.2g} ps of production"
    return f"{TOO_FEW}: run longer, at least {how_long}"


def mean_metric(
    name: str,
    series: np.ndarray,
    unit: str,
    definition: str,
    provenance: str,
    *,
    note: str | None = None,
    duration_ps: float | None = None,
) -> Metric:
    """Mean of a stationary series with its standard error, corrected for correlation.

    Args:
        name: of the metric.
        series: `[n_times]`, at least one value.
        unit: of the series.
        definition: what a value of the series is.
        provenance: where the series is from.
        note: added to the note.
        duration_ps: of the series, for the note where it is too short.
    """
    text = {"name": name, "unit": unit, "definition": definition, "provenance": provenance}
    if len(series) < 2:
        notes = "; ".join(part for part in (note, "one sample: no error") if part)
        return Metric(value=float(series[0]), n_eff=1.0, note=notes, **text)
    mean = mean_with_error(series)
    parts = (note, remark(mean, duration_ps))
    return Metric(
        value=mean.value,
        error=mean.error,
        n_eff=mean.n_eff,
        note="; ".join(part for part in parts if part) or None,
        **text,
    )


def geometric_mean_metric(
    name: str, series: np.ndarray, unit: str, definition: str, provenance: str
) -> Metric:
    """Geometric mean of a positive series, exp <ln x>, with the error of that mean.

    A value of exactly zero makes it zero.
    """
    if np.any(series <= 0.0):
        return Metric(
            name=name,
            value=0.0,
            unit=unit,
            definition=definition,
            provenance=provenance,
            note="exactly zero at some time",
        )
    logarithm = mean_metric(name, np.log(series), unit, definition, provenance)
    value = float(np.exp(logarithm.value))
    return Metric(
        name=name,
        value=value,
        error=None if logarithm.error is None else value * logarithm.error,
        unit=unit,
        n_eff=logarithm.n_eff,
        definition=definition,
        provenance=provenance,
        note=logarithm.note,
    )
