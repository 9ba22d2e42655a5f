# SPDX-License-Identifier: GPL-2.0-or-later
"""An argon-neon crystal in real LAMMPS, with or without a fault."""

from __future__ import annotations

import subprocess

from egraff.lammps import launch
from tests.analysis.dumps import write_run

ELEMENTS = ["Ar", "Ne"]
SCRIPT = """\
units           metal
atom_modify     map array
lattice         fcc 5.2
region          cell block 0 3 0 3 0 3
create_box      2 cell
create_atoms    1 box
set             type 1 type/ratio 2 0.25 1
mass            1 39.948
mass            2 20.1797
pair_style      lj/smooth/linear 6.0
pair_coeff      1 1 0.0104 3.4
pair_coeff      1 2 0.0104 3.15
pair_coeff      2 2 0.0104 2.9
neighbor        1.0 bin
velocity        all create $(2*{start}) {seed} mom yes loop geom
timestep        0.004
fix             move all nve
fix             bath all langevin {start} {start} 0.2 {seed}
log             equilibration.log
run             {equilibration}
fix             bath all langevin 40 40 0.2 {seed}
run             2000
reset_timestep  0
{production}
timestep        {timestep}
thermo          10
thermo_style    custom step temp pe ke etotal press vol
thermo_modify   format float %.10g lost ignore
dump            d all custom {every} dump.lammpstrj id type element x y z ix iy iz vx vy vz fx fy fz
dump_modify     d sort id element Ar Ne format float %.10g
log             log.lammps
run             {steps}
"""
NVE = "unfix bath"
NVT = "fix bath all langevin 40 40 0.2 77"


def simulate(
    directory,
    *,
    production=NVT,
    start=40,
    equilibration=2000,
    timestep=0.004,
    steps=6000,
    every=60,
    seed=1,
    **record,
):
    """Run LAMMPS; return the run directory, with a record as ``egraff run`` would write it."""
    directory.mkdir()
    text = SCRIPT.format(
        production=production,
        start=start,
        equilibration=equilibration,
        timestep=timestep,
        steps=steps,
        every=every,
        seed=seed,
    )
    (directory / "in").write_text(text)
    subprocess.run(
        [launch.find_lmp(), "-in", "in", "-screen", "none"],
        cwd=directory,
        env=launch.environment(1),
        capture_output=True,
        timeout=120,
        check=False,  # some of them are to break
    )
    content = {
        "ensemble": "nve" if production == NVE else "nvt",
        "temperature_K": 40.0,
        "timestep_fs": 1e3 * timestep,
        "n_atoms": 108,
        "elements": ELEMENTS,
        "added_forces": None if production == NVE else "fix langevin",
        **record,
    }
    write_run(directory, [], **content)
    (directory / "model.egraff.pt").write_text("a model")
    return directory
