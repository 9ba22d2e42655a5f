# SPDX-License-Identifier: GPL-2.0-or-later
"""Salt crystals to run."""

from ase.build import bulk


def salt(repeat=(1, 1, 1)):
    atoms = bulk("LiF", "rocksalt", a=4.03, cubic=True) * repeat
    atoms.rattle(0.05, seed=1)
    return atoms
