# SPDX-License-Identifier: GPL-2.0-or-later
"""From LAMMPS dumps and logs to numbers with errors.

Importing a module of this package is what registers the dump reader with MDAnalysis; this file
imports nothing, so that the command line starts quickly.
"""
