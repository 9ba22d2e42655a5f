# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that LAMMPS writes: text dumps and data files, their units and their elements."""
