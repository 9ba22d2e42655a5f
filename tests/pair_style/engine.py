# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the real `lmp` and read what it wrote."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

BIN = Path(sys.executable).parent

# Ranks that wait give their core away. Without this, more ranks than cores (and other tests on the
# same cores) slow each other down tenfold.
PATIENT_MPI = {
    "MPIR_CVAR_ENABLE_HEAVY_YIELD": "1",
    "MPIR_CVAR_POSIX_NUM_COLLS_THRESHOLD": "2000000000",
}


def run_lmp(
    script: str,
    directory: Path,
    *,
    ranks: int = 1,
    arguments: tuple[str, ...] = (),
    timeout: float = 300.0,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run a script with nothing in the environment but PATH and one thread per rank.

    A run that hangs is a failure: after ``timeout`` seconds `TimeoutExpired` is raised.
    """
    (directory / "in.lammps").write_text(script)
    launcher = [str(BIN / "mpirun"), "-n", str(ranks)] if ranks > 1 else []
    return subprocess.run(
        [*launcher, str(BIN / "lmp"), "-in", "in.lammps", *arguments],
        cwd=directory,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "OMP_NUM_THREADS": "1", **PATIENT_MPI, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def must_run(script: str, directory: Path, **options) -> str:
    """Run a script that must succeed and return its output."""
    done = run_lmp(script, directory, **options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def must_fail(script: str, directory: Path, **options) -> str:
    """Run a script that must end with an error and return the text from the error on."""
    done = run_lmp(script, directory, **options)
    text = done.stdout + done.stderr
    assert done.returncode != 0, text[-3000:]
    assert "ERROR" in text, text[-3000:]
    return " ".join(text[text.index("ERROR") :].split())


def write_data(
    atoms: Atoms, path: Path, elements: list[str], *, rotation: np.ndarray | None = None
) -> None:
    """Write a LAMMPS data file (atom_style atomic); atom type k is ``elements[k - 1]``.

    The cell must already be as LAMMPS wants it: a along x, b in the xy plane. With a ``rotation``
    ``[3, 3]``, by which row vectors are multiplied from the right, it is written as a general
    triclinic cell that LAMMPS turns back.
    """
    cell, positions = atoms.cell.array, atoms.positions
    assert cell[0, 1] == cell[0, 2] == cell[1, 2] == 0
    lines = ["", "", f"{len(atoms)} atoms", f"{len(elements)} atom types"]
    if rotation is not None:
        positions = positions @ rotation
        for name, (x, y, z) in zip(("avec", "bvec", "cvec"), cell @ rotation, strict=True):
            lines += [f"{x!r} {y!r} {z!r} {name}"]
        lines += ["0 0 0 abc origin"]
    else:
        lines += [f"0 {cell[k, k]!r} {axis}lo {axis}hi" for k, axis in enumerate("xyz")]
        if np.abs(cell - np.diag(np.diag(cell))).max() > 0:
            lines += [f"{cell[1, 0]!r} {cell[2, 0]!r} {cell[2, 1]!r} xy xz yz"]
    mass = {"H": 1.008, "O": 15.999}
    lines += ["", "Masses", "", *(f"{k + 1} {mass[e]}" for k, e in enumerate(elements))]
    lines += ["", "Atoms # atomic", ""]
    for number, (symbol, position) in enumerate(zip(atoms.symbols, positions, strict=True)):
        x, y, z = (float(value) for value in position)
        lines.append(f"{number + 1} {elements.index(symbol) + 1} {x!r} {y!r} {z!r}")
    path.unlink(missing_ok=True)  # it may be a link to what other tests read
    path.write_text("\n".join(lines).replace("np.float64(", "").replace(")", "") + "\n")


@dataclass
class Result:
    """What LAMMPS said about one configuration, in its own units.

    `thermo` holds the printed quantities by name, `atoms` the dumped columns by name, sorted by
    atom ID.
    """

    thermo: dict[str, float]
    atoms: dict[str, np.ndarray]

    def columns(self, *names: str) -> np.ndarray:
        """Return dumped columns side by side."""
        return np.stack([self.atoms[name] for name in names], axis=1)


def read_dump(path: Path) -> dict[str, np.ndarray]:
    """Read the first frame of a custom dump, columns by name."""
    lines = path.read_text().splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("ITEM: ATOMS"))
    names = lines[start].split()[2:]
    n_atoms = int(lines[3])
    rows = np.array([line.split() for line in lines[start + 1 : start + 1 + n_atoms]], dtype=float)
    return dict(zip(names, rows.reshape(n_atoms, len(names)).T, strict=True))


def frames(path) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return types, positions and forces of each frame of a dump of id, type, x, ... and fz."""
    found = []
    for part in path.read_text().split("ITEM: TIMESTEP\n")[1:]:
        rows = np.array([line.split() for line in part.splitlines()[8:]], dtype=float)
        found.append((rows[:, 1], rows[:, 2:5], rows[:, 5:8]))
    return found


# Energy, forces, virials of both kinds, for each atom and in total, written to PREFIX.dump and
# PREFIX.thermo. Per-atom virials are in units of pressure times volume.
MEASURE = """
compute energy all pe/atom
compute virial all stress/atom NULL pair
compute centroid all centroid/stress/atom NULL pair
compute pressure all pressure NULL virial
compute total_energy all reduce sum c_energy
compute total_virial all reduce sum c_virial[*]
compute total_centroid all reduce sum c_centroid[*]
thermo_style custom step pe c_total_energy c_pressure[*] c_total_virial[*] c_total_centroid[*]
thermo_modify format float %.16g
dump measure all custom 1 {prefix}.dump id type fx fy fz c_energy c_virial[*] c_centroid[*]
dump_modify measure sort id format float %.16g
run 0
variable values string "$(pe:%.16g) $(c_total_energy:%.16g) $(c_pressure[1]:%.16g) &
$(c_pressure[2]:%.16g) $(c_pressure[3]:%.16g) $(c_pressure[4]:%.16g) $(c_pressure[5]:%.16g) &
$(c_pressure[6]:%.16g) $(vol:%.16g)"
print "${{values}}" file {prefix}.thermo
"""
THERMO = ["pe", "sum_pe", *(f"p{ab}" for ab in ("xx", "yy", "zz", "xy", "xz", "yz")), "vol"]


def read_result(prefix: Path) -> Result:
    """Read what :data:`MEASURE` wrote."""
    values = (float(x) for x in prefix.with_suffix(".thermo").read_text().split())
    return Result(dict(zip(THERMO, values, strict=True)), read_dump(prefix.with_suffix(".dump")))
