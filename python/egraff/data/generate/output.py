# SPDX-License-Identifier: GPL-2.0-or-later
"""Write generated frames and their provenance."""

from __future__ import annotations

import gzip
import io
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms, units

from egraff.data.generate.protocols import Protocol, Run
from egraff.files import atomic_path, sha256


def write_frames(path: Path, frames: list[Atoms]) -> None:
    """Write gzip-compressed extended XYZ: the same frames always give the same bytes."""
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    with atomic_path(path) as partial:
        # neither the time nor the (temporary) name may end up in the gzip header
        partial.write_bytes(gzip.compress(text.getvalue().encode("ascii"), 9, mtime=0))


def describe_file(path: Path, frames: list[Atoms]) -> dict[str, Any]:
    """Return what the manifest says about one file."""
    energies = np.array([frame.get_potential_energy() for frame in frames])
    entry: dict[str, Any] = {
        "file": path.name,
        "sha256": sha256(path),
        "bytes": path.stat().st_size,
        "n_frames": len(frames),
        "n_atoms_per_frame": len(frames[0]),
    }
    if len(frames[0]) > 1:
        forces = np.stack([frame.get_forces() for frame in frames])
        entry["energy_mean_eV"] = round(float(energies.mean()), 6)
        entry["energy_std_eV"] = round(float(energies.std()), 6)
        entry["force_rms_eV_per_A"] = round(float(np.sqrt((forces**2).mean())), 6)
    if len(frames) > 2 and len(frames[0]) > 1:
        # of consecutive frames; about zero when they are independent
        entry["energy_correlation"] = round(
            float(np.corrcoef(energies[:-1], energies[1:])[0, 1]), 3
        )
    if frames[0].pbc.all():
        # labels hold the stress of the structure alone; motion adds N k T / V
        pressure = [-frame.get_stress()[:3].mean() for frame in frames]
        entry["static_pressure_mean_eV_per_A3"] = round(float(np.mean(pressure)), 6)
    if frames[0].has("momenta"):
        kinetic = np.mean([frame.get_kinetic_energy() for frame in frames])
        degrees = 3 * len(frames[0]) - 3  # the centre of mass does not move
        entry["kinetic_temperature_K"] = round(float(2 * kinetic / (degrees * units.kB)), 1)
    return entry


def describe_run(protocol: Protocol, run: Run) -> dict[str, Any]:
    """Return the settings of one run for the manifest."""
    settings = asdict(run)
    settings["time_between_frames_fs"] = run.steps_per_frame * protocol.timestep_fs
    del settings["split"]
    return settings


def manifest_head(name: str, protocol: Protocol) -> dict[str, Any]:
    """Return the part of the manifest that holds for all files of a set."""
    return {
        "set": name,
        "title": protocol.title,
        "method": protocol.method,
        "program": f"tblite {version('tblite')}",
        "accuracy": protocol.accuracy,
        "electronic_temperature_K": 300.0,
        "sampling": (
            f"Langevin molecular dynamics, ASE {version('ase')}, centre of mass fixed, "
            f"time step {protocol.timestep_fs} fs; one independent run per file"
        ),
        "timestep_fs": protocol.timestep_fs,
        "isolated_atoms": (
            "spin-polarised ground states (spin_polarization 1.0), multiplicities "
            + ", ".join(f"{el} {m}" for el, m in protocol.multiplicities.items())
        ),
        "units": {
            "energy": "eV",
            "forces": "eV/A",
            "stress": "eV/A^3, tension positive",
            "positions": "A, not wrapped into the cell",
            "momenta": "ASE units, amu A / (A sqrt(amu/eV))",
        },
        "made_by": f"python -m egraff.data.generate --set {name}",
        "numpy": version("numpy"),
        "platform": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "licence": "CC0-1.0",
    }
