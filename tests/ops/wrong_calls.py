# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes of a case that make a call of its operator wrong."""

from __future__ import annotations

from operator import attrgetter

import torch

FUSED = "fused"


def long(*shape):
    """Return zeros, int64."""
    return torch.zeros(*shape, dtype=torch.int64)


def replaced(name, value, part=FUSED):
    """Return a change of one attribute of a case, or of the part that holds the constants."""

    def change(case):
        setattr(case if hasattr(case, name) else attrgetter(part)(case), name, value)

    return change


def number(name, row, column, value, part=FUSED):
    """Return a change of one number of a table among the constants."""

    def change(case):
        getattr(attrgetter(part)(case), name)[row, column] = value

    return change
