# SPDX-License-Identifier: GPL-2.0-or-later
"""LAMMPS: finding the plugin, starting LAMMPS, writing inputs and running them."""
