# SPDX-License-Identifier: GPL-2.0-or-later
"""The options of the architecture and the cutoff that the settings of a training stand for."""

from __future__ import annotations

from typing import Any

from egraff.models import preset
from egraff.training.config import TrainConfig

DEFAULT_R_MAX = 5.0


def architecture_options(config: TrainConfig) -> tuple[float, dict[str, Any]]:
    """Return the cutoff in Angstrom and all other options: those of the preset, ours on top.

    Raises:
        InputError: unknown architecture or preset.
    """
    options = preset(config.model, config.preset) if config.preset else {}
    options |= config.model_options
    of_preset = options.pop("r_max", None)
    return config.r_max or of_preset or DEFAULT_R_MAX, options
