# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of the analysis of one run; each gives metrics, curves and problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from egraff.analysis import replay as replays
from egraff.analysis.frames import default_r_max, frames_universe
from egraff.analysis.logfile import ThermoLog, read_log
from egraff.analysis.metric import Metric, not_enough_data
from egraff.analysis.rdf import RadialDistribution
from egraff.analysis.reader import open_universe
from egraff.analysis.runs import Run
from egraff.analysis.statistics import equilibration_start
from egraff.analysis.structure import (
    Structure,
    compare_structures,
    expected_noise,
    noise_floor,
    structure_of,
)
from egraff.analysis.thermo import nve_drift, production_mean
from egraff.errors import InputError

if TYPE_CHECKING:
    from egraff.analysis.pipeline import Parameters, Reference

_FEWEST_FRAMES = 2


@dataclass
class Section:
    """Outcome of one part."""

    metrics: list[Metric] = field(default_factory=list)
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def _times_ps(log: ThermoLog, run: Run) -> np.ndarray:
    return log.column("step") * run.record["timestep_fs"] * 1e-3


def thermo(run: Run) -> Section:
    """Temperature, pressure and energy conservation from the log."""
    log = read_log(run.log)
    section = Section(problems=[*log.problems, *log.errors])
    if not log.runs or not sum(len(part.rows) for part in log.runs):
        section.problems.append("LAMMPS printed no thermo output")
        return section
    time = _times_ps(log, run)
    names = {name.lower() for name in log.column_names()}
    section.curves["thermo/time_ps"] = time
    for name in ("temp", "pe", "ke", "etotal", "press", "vol"):
        column = _COLUMNS[name]
        if column.lower() in names or name in names:
            section.curves[f"thermo/{name}"] = log.column(name if name in names else column)
    curves = section.curves
    where = f"{run.log.name}"
    if "thermo/temp" in curves:
        section.metrics.append(
            production_mean(
                "temperature",
                curves["thermo/temp"],
                "K",
                "temperature",
                provenance=f"{where}: Temp",
            )
        )
    periodic = all(run.record.get("pbc", [True] * 3))
    if "thermo/press" in curves and periodic:
        section.metrics.append(
            production_mean(
                "pressure", curves["thermo/press"], "bar", "pressure", provenance=f"{where}: Press"
            )
        )
    if run.record["ensemble"].lower() == "npt" and "thermo/vol" in curves:
        section.metrics.append(
            production_mean(
                "volume", curves["thermo/vol"], "A^3", "volume", provenance=f"{where}: Volume"
            )
        )
    if run.record["ensemble"].lower() == "nve" and {"thermo/etotal", "thermo/ke"} <= set(curves):
        section.metrics += nve_drift(
            time,
            curves["thermo/etotal"],
            curves["thermo/ke"],
            run.record["n_atoms"],
            provenance=f"{where}: TotEng, KinEng, {len(time)} rows",
        )
    return section


#: What LAMMPS prints for each thermo keyword.
_COLUMNS = {
    "temp": "Temp",
    "pe": "PotEng",
    "ke": "KinEng",
    "etotal": "TotEng",
    "press": "Press",
    "vol": "Volume",
}


def speed(run: Run) -> Section:
    """Wall time per atom and step, and simulated time per day, as the run recorded them."""
    section = Section()
    value = run.record.get("ns_per_day")
    text = {
        "name": "speed",
        "unit": "ns/day",
        "definition": "simulated time per day of wall time, of this one run",
        "provenance": "run.json: ns_per_day",
    }
    if value is None:
        section.metrics.append(not_enough_data(**text, note="the run did not record it"))
    else:
        note = "one run, on a machine that may have been shared: no error"
        section.metrics.append(Metric(value=value, note=note, **text))
    return section


def _production_frames(run: Run, times_ps: np.ndarray | None, most: int) -> tuple[list[int], str]:
    """Frames after the potential energy has equilibrated, evenly spaced, and how chosen."""
    from egraff.analysis.pipeline import evenly_spaced

    n_frames = 0 if times_ps is None else len(times_ps)
    first, reason = 0, "all frames"
    if times_ps is not None and run.log.is_file():
        log = read_log(run.log)
        names = {name.lower() for name in log.column_names()}
        column = next((name for name in ("pe", "poteng") if name in names), None)
        if column:
            energy, time = log.column(column), _times_ps(log, run)
            finite = np.isfinite(energy)
            if finite.sum() >= 10:
                start = time[finite][equilibration_start(energy[finite])]
                first = int(np.searchsorted(times_ps, start - 1e-9))
                reason = f"frames from {start:g} ps (potential energy equilibrated)"
    chosen = [first + index for index in evenly_spaced(n_frames - first, most)]
    return chosen, f"{reason}, {len(chosen)} of {n_frames}"


def _run_rdf(run: Run, r_max: float, parameters: Parameters, section: Section):
    universe = open_universe(
        run.dump,
        elements=run.record["elements"],
        timestep_fs=run.record["timestep_fs"],
        save_index=True,
    )
    trajectory = universe.trajectory
    section.problems += [problem.message for problem in trajectory.problems]
    chosen, how = _production_frames(run, trajectory.times_ps, parameters.max_frames)
    if len(chosen) < _FEWEST_FRAMES:
        raise InputError(
            f"expected at least {_FEWEST_FRAMES} frames after equilibration, got {len(chosen)}",
            where=run.dump,
            fix="run longer, or dump more often",
        )
    analysis = RadialDistribution(universe.atoms, r_max=r_max, bin_width=parameters.bin_width)
    return analysis.run(frames=chosen), how


def _reference_rdf(reference: Reference, r_max: float, parameters: Parameters):
    from egraff.analysis.pipeline import evenly_spaced

    frames = reference.frames
    chosen = [frames[index] for index in evenly_spaced(len(frames), parameters.max_frames)]
    universe = frames_universe(chosen, where=reference.path)
    analysis = RadialDistribution(universe.atoms, r_max=r_max, bin_width=parameters.bin_width)
    return analysis.run()


def _check_composition(run: Run, frame: Atoms, symbols: np.ndarray, where: str) -> None:
    """The run must hold the reference's elements in the same proportions."""

    def fractions(elements):
        return {symbol: np.mean(np.asarray(elements) == symbol) for symbol in set(elements)}

    own, other = fractions(list(symbols)), fractions(frame.get_chemical_symbols())
    same = own.keys() == other.keys() and all(abs(own[k] - other[k]) < 1e-9 for k in own)
    if not same:
        raise InputError(
            f"expected the composition of the reference, {frame.get_chemical_formula()}, got "
            f"{Atoms(list(symbols)).get_chemical_formula()} in {run.dump}",
            where=where,
            fix="give the reference trajectory of the system that was simulated",
        )


def _curves(prefix: str, structure: Structure) -> dict[str, np.ndarray]:
    curves = {
        f"{prefix}/r": structure.r,
        f"{prefix}/pairs": np.array(structure.pairs),
        f"{prefix}/g": structure.g,
        f"{prefix}/periodic": np.array(structure.periodic),
    }
    if structure.g_error is not None:
        curves[f"{prefix}/g_error"] = structure.g_error
    return curves


def structure(run: Run, reference: Reference, parameters: Parameters) -> Section:
    """RDFs of the run and the reference, and every measure between them."""
    section = Section()
    r_max = parameters.r_max or reference.once(
        ("r_max", parameters.bin_width),
        lambda: default_r_max(reference.frames, parameters.bin_width),
    )
    atoms = open_universe(run.dump, elements=run.record["elements"]).atoms
    _check_composition(run, reference.frames[0], atoms.elements, reference.path)
    analysis, how = _run_rdf(run, r_max, parameters, section)
    reference_analysis = reference.once(
        ("rdf", r_max, parameters), lambda: _reference_rdf(reference, r_max, parameters)
    )
    own, other = structure_of(analysis), structure_of(reference_analysis)
    name = Path(reference.path).name
    provenance = (
        f"{run.dump.name}: {how}; {name}: {other.n_frames} frames; r < {analysis.r_max:g} A in "
        f"bins of {analysis.bin_width:g} A"
    )
    section.metrics += compare_structures(own, other, provenance=provenance)
    section.metrics += expected_noise(own, other, provenance=provenance)
    section.metrics += noise_floor(
        reference_analysis, provenance=f"{name}: first against second half"
    )
    section.curves |= _curves("rdf", own) | _curves("rdf_reference", other)
    return section


def structure_alone(run: Run, parameters: Parameters) -> Section:
    """RDFs of the run when there is no reference to compare with."""
    section = Section()
    universe = open_universe(run.dump, elements=run.record["elements"])
    ts = universe.trajectory.ts
    first = Atoms(
        universe.atoms.elements,
        positions=ts.data["positions"],
        cell=ts.data["cell"],
        pbc=ts.data["pbc"],
    )
    r_max = parameters.r_max or default_r_max([first], parameters.bin_width)
    analysis, _ = _run_rdf(run, r_max, parameters, section)
    section.curves |= _curves("rdf", structure_of(analysis))
    return section


def replay(
    run: Run,
    reference: Reference,
    parameters: Parameters,
    load_calculator: Callable[[Path], Calculator],
) -> Section:
    """Energy and force violation of the run's model along the reference."""
    from egraff.analysis.pipeline import evenly_spaced

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
    }
    return section
