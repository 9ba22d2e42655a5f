# SPDX-License-Identifier: GPL-2.0-or-later
"""Choices that several verbs offer."""

from __future__ import annotations

from enum import StrEnum


class Dtype(StrEnum):
    """Floating-point types of a model."""

    float32 = "float32"
    float64 = "float64"


class Device(StrEnum):
    """Where a model is trained or evaluated; auto takes CUDA if there is one."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
