# SPDX-License-Identifier: GPL-2.0-or-later
"""Equivariant graph-neural-network force fields, run in LAMMPS and judged by their simulations."""

__version__ = "0.1.0"
