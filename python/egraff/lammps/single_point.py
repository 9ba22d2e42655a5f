# SPDX-License-Identifier: GPL-2.0-or-later
"""Energy, forces and virial of one structure from the real ``lmp``, on any number of ranks."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from egraff.errors import RunError
from egraff.lammps.inputs import pair_lines
from egraff.lammps.launch import command_line, environment
from egraff.lammps.model_link import MODEL_FILE, link_model
from egraff.lammps.structure import to_lammps, write_data
from egraff.metadata import read_metadata

if TYPE_CHECKING:
    from ase import Atoms

TIMEOUT_S = 600.0

# `print` with immediate variables writes every digit; pressure times volume over LAMMPS's own
# conversion factor is the virial in eV.
SCRIPT = """\
units           metal
atom_style      atomic
boundary        {boundary}
newton          on
box             tilt large
read_data       structure.data
{force_field}
neighbor        0.5 bin
compute         virial all pressure NULL virial
compute         energy all pe/atom
thermo_style    custom step pe vol c_virial[*]
thermo_modify   norm no
dump            atoms all custom 1 atoms.dump id c_energy fx fy fz
dump_modify     atoms sort id format float %.17g
run             0
variable        e equal pe
variable        v equal vol
variable        xx equal c_virial[1]
variable        yy equal c_virial[2]
variable        zz equal c_virial[3]
variable        xy equal c_virial[4]
variable        xz equal c_virial[5]
variable        yz equal c_virial[6]
print           "$(v_e:%.17g) $(v_v:%.17g) $(v_xx:%.17g) $(v_yy:%.17g) $(v_zz:%.17g) &
$(v_xy:%.17g) $(v_xz:%.17g) $(v_yz:%.17g)" file totals.txt
"""
NKTV2P_METAL = 1.6021765e6
"""bar A^3 per eV, the constant that LAMMPS itself uses in ``units metal``."""


@dataclass(frozen=True)
class SinglePoint:
    """What LAMMPS computed, in the frame of the structure that was given.

    Attributes:
        energy: in eV.
        atomic_energy: ``[n_atoms]`` in eV.
        forces: ``[n_atoms, 3]`` in eV/A.
        virial: ``[3, 3]`` in eV, LAMMPS's sign.
    """

    energy: float
    atomic_energy: NDArray[np.float64]
    forces: NDArray[np.float64]
    virial: NDArray[np.float64]


def single_point(
    model: str | PathLike[str],
    atoms: Atoms,
    *,
    ranks: int = 1,
    threads: int = 1,
    device: str = "cpu",
) -> SinglePoint:
    """Evaluate a structure in LAMMPS.

    Args:
        model: exported model.
        atoms: the structure.
        ranks: MPI ranks.
        threads: threads per rank.
        device: auto, cpu or cuda.

    Raises:
        ModelFileError: the model file cannot be used.
        InputError: the structure does not fit the model or LAMMPS.
        RunError: LAMMPS failed; the message ends with what it printed last.
    """
    structure = to_lammps(atoms, read_metadata(model)["elements"])
    force_field = pair_lines(MODEL_FILE, structure.elements, device=device, threads=threads)
    script = SCRIPT.format(
        boundary=" ".join("p" if periodic else "m" for periodic in atoms.pbc),
        force_field="\n".join(force_field),
    )
    with tempfile.TemporaryDirectory(prefix="egraff-") as name:
        directory = Path(name)
        link_model(Path(model), directory)
        write_data(directory / "structure.data", structure, title="single point")
        (directory / "in.lammps").write_text(script)
        _run(command_line("in.lammps", ranks=ranks), directory, threads)
        totals = np.loadtxt(directory / "totals.txt")
        rows = np.loadtxt(directory / "atoms.dump", skiprows=9, ndmin=2)
    rotation = structure.box.rotation
    xx, yy, zz, xy, xz, yz = totals[2:] * totals[1] / NKTV2P_METAL
    virial = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return SinglePoint(
        energy=float(totals[0]),
        atomic_energy=rows[:, 1],
        forces=rows[:, 2:5] @ rotation.T,
        virial=rotation @ virial @ rotation.T,
    )


def _run(command: list[str], directory: Path, threads: int) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment(threads),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(f"LAMMPS took more than {TIMEOUT_S:g} s for a single point") from error
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise RunError("LAMMPS failed:\n" + "\n".join(f"  {line}" for line in lines[-12:]))
