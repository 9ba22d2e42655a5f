# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of files that one command writes and another reads."""

# in the directory of a training
BEST = "best.ckpt"
LAST = "last.ckpt"
METRICS = "metrics.csv"
SUMMARY = "summary.json"
SETTINGS = "config.yaml"

# in the directory of a run
RUN_RECORD = "run.json"

# of an analysis, within the directory of its run
ANALYSIS_RESULT = "analysis/result.json"

REPORT = "report.html"

# in a checkpoint's training_data: the package and file that weights were converted from
IMPORTED = "imported_from"
