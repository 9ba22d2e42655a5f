# SPDX-License-Identifier: GPL-2.0-or-later
"""Analyses of MDAnalysis whose frames can be shared among processes."""

from __future__ import annotations

from MDAnalysis.analysis.base import AnalysisBase


class ParallelAnalysis(AnalysisBase):
    """An analysis that looks at each frame alone, so that any backend of ``run`` will do."""

    _analysis_algorithm_is_parallelizable = True

    @classmethod
    def get_supported_backends(cls):
        """Backends of `run`."""
        return ("serial", "multiprocessing", "dask")
