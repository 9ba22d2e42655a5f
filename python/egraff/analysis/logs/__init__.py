# SPDX-License-Identifier: GPL-2.0-or-later
"""What LAMMPS logs say: thermo output, commands, and which part of a log a run is."""
