# SPDX-License-Identifier: GPL-2.0-or-later
"""The run's model along the reference trajectory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.calculators.calculator import Calculator

from egraff.analysis import replay as replays
from egraff.analysis.runs import Run
from egraff.analysis.section import Section, evenly_spaced
from egraff.errors import InputError

if TYPE_CHECKING:
    from egraff.analysis.pipeline import Parameters, Reference


def replay(
    run: Run,
    reference: Reference,
    parameters: Parameters,
    load_calculator: Callable[[Path], Calculator],
) -> Section:
    """Energy and force violation of the run's model along the reference."""
    path = run.model
    if path is None or not path.is_file():
        raise InputError(
            "no such file", where=path, field="model", fix="put the model back, or analyse without"
        )
    chosen = evenly_spaced(len(reference.frames), parameters.max_replay_frames)

    def compute() -> replays.Replay:
        frames = [reference.frames[index] for index in chosen]
        return replays.replay(frames, load_calculator(path), where=reference.path)

    result = reference.once(("replay", str(path.resolve()), parameters), compute)
    name = Path(reference.path).name
    provenance = f"{path.name} on {len(chosen)} of {len(reference.frames)} frames of {name}"
    section = Section(replays.replay_metrics(result, provenance=provenance))
    section.curves = {
        "replay/time": result.time_ps,
        "replay/time_known": np.array(result.time_known),
        "replay/ev": result.ev,
        "replay/fv": result.fv,
        "replay/energy": result.energy,
        "replay/energy_ref": result.energy_ref,
        "replay/forces": result.forces.reshape(len(result.forces), -1).astype(np.float32),
        "replay/forces_ref": result.forces_ref.reshape(len(result.forces), -1).astype(np.float32),
        "replay/elements": np.array(
            [reference.frames[index].get_chemical_symbols() for index in chosen]
        ),
    }
    return section
