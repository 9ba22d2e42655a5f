# SPDX-License-Identifier: GPL-2.0-or-later
"""One offline HTML page about a directory of trainings, evaluations and simulations."""
