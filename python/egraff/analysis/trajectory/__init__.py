# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames of LAMMPS dumps and of other formats, as MDAnalysis universes."""
