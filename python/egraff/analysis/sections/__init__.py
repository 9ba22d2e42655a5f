# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of the analysis of a run: each makes metrics and curves of a context."""
