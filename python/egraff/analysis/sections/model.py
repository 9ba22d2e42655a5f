# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the run's model itself, on the first frame of its dump."""

from __future__ import annotations

from egraff.analysis.context import AnalysisContext
from egraff.analysis.section import Section


def model(context: AnalysisContext) -> Section:
    """Scans along lines and symmetries; empty where the model's file is gone."""
    path = context.run.model
    if path is None or not path.is_file():
        return Section()  # the replay says so, where one was asked for
    return context.checks.section(path, context.first_frame(), where=context.run.dump.name)
