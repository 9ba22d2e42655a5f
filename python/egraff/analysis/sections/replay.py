# SPDX-License-Identifier: GPL-2.0-or-later
"""The run's model along the reference trajectory."""

from __future__ import annotations

import numpy as np

from egraff.analysis import replay as replays
from egraff.analysis.context import AnalysisContext
from egraff.analysis.section import Section, evenly_spaced
from egraff.errors import InputError


def replay(context: AnalysisContext) -> Section:
    """Energy and force violation of the run's model along the reference.

    Raises:
        InputError: the model's file is gone.
    """
    path, reference, parameters = context.run.model, context.reference, context.parameters
    if path is None or not path.is_file():
        raise InputError(
            "no such file", where=path, field="model", fix="put the model back, or analyse without"
        )
    chosen = evenly_spaced(len(reference.frames), parameters.max_replay_frames)

    def compute() -> replays.Replay:
        frames = [reference.frames[index] for index in chosen]
        return replays.replay(frames, context.load_calculator(path), where=reference.path)

    result = reference.once(("replay", str(path.resolve()), parameters), compute)
    frames = f"{len(chosen)} of {len(reference.frames)} frames"
    provenance = f"{path.name} on {frames} of {reference.name}"
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
