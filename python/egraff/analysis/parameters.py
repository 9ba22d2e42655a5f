# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be chosen about an analysis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from egraff.analysis.stability import Criteria
from egraff.analysis.verdict.rules import Rule, read_rules
from egraff.errors import InputError

_FEWEST_FRAMES = 50


@dataclass(frozen=True)
class Parameters:
    """Ranges, limits and how the work is shared out.

    Attributes:
        r_max: range of the structure comparison in Angstrom; None for `default_r_max`.
        bin_width: of the radial distributions, Angstrom (EGraFFBench's 0.05).
        max_frames: at most this many frames, evenly spaced, enter the structure comparison.
        max_atoms: nor more than this many atoms in all of its frames (but at least 50 frames): a
            frame of a large system holds many samples of its structure.
        max_replay_frames: at most this many reference frames, evenly spaced, are replayed.
        viscosity_mPa_s: of the model liquid: with it, diffusion coefficients are corrected to an
            infinite cell (Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004)).
        criteria: of stability.
        rules: of the verdict, by name.
        threads: of the neighbour lists; it changes no result.
        workers: processes among which the frames are shared; neither does it.

    Raises:
        InputError: a number is not above 0.
    """

    r_max: float | None = None
    bin_width: float = 0.05
    max_frames: int = 400
    max_atoms: int = 500_000
    max_replay_frames: int = 200
    viscosity_mPa_s: float | None = None
    criteria: Criteria = field(default_factory=Criteria)
    rules: Mapping[str, Rule] = field(default_factory=read_rules, hash=False)
    threads: int = 1
    workers: int = 1

    def __post_init__(self) -> None:
        counts = ("max_frames", "max_atoms", "max_replay_frames", "threads", "workers")
        for name in ("bin_width", *counts):
            if not getattr(self, name) > 0:
                raise InputError(f"expected a value above 0, got {getattr(self, name)}", where=name)
        if self.viscosity_mPa_s is not None and not 0 < self.viscosity_mPa_s < math.inf:
            raise InputError(
                f"expected a viscosity above 0 mPa s, got {self.viscosity_mPa_s}",
                where="viscosity",
                fix="give that of the liquid at the temperature of the run, in mPa s (water: 0.9)",
            )

    def processes(self, n_frames: int) -> dict[str, Any]:
        """How `AnalysisBase.run` is to share out ``n_frames``, as its keyword arguments."""
        workers = min(self.workers, n_frames)
        return {} if workers < 2 else {"backend": "multiprocessing", "n_workers": workers}

    def structure_frames(self, n_atoms: int) -> int:
        """How many frames of ``n_atoms`` enter the structure comparison."""
        return min(self.max_frames, max(_FEWEST_FRAMES, self.max_atoms // n_atoms))

    def that_matter(self) -> dict[str, Any]:
        """The parameters that a result depends on."""
        content = asdict(replace(self, rules={}))
        content["rules"] = {name: rule.model_dump() for name, rule in self.rules.items()}
        return {name: content[name] for name in content if name not in ("threads", "workers")}
