# SPDX-License-Identifier: GPL-2.0-or-later
"""Choices that several verbs offer, and what they check before anything is loaded."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from egraff.files import check_writable


def writable(path: Path | None) -> Path | None:
    """Check an output as soon as the command line is read; the callback of such options.

    Raises:
        OutputError: it cannot be written there.
    """
    if path is not None:
        check_writable(path)
    return path


class Dtype(StrEnum):
    """Floating-point types of a model."""

    float32 = "float32"
    float64 = "float64"


class Device(StrEnum):
    """Where a model is trained or evaluated; auto takes CUDA if there is one."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
