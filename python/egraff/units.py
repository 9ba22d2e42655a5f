# SPDX-License-Identifier: GPL-2.0-or-later
"""The units egraff works in, and the constants that connect them.

Energies are in eV, lengths in Angstrom, masses in amu, temperatures in K, stress in eV/A^3. Times
carry their unit in the name (``timestep_fs``, ``damp_ps``). Values: CODATA 2018.
"""

BOLTZMANN_EV_PER_K = 8.617333262e-5
"""Boltzmann constant in eV/K."""

EV_PER_ANG3_IN_BAR = 1.602176634e6
"""One eV/A^3 in bar."""

EV_PER_ANG3_IN_GPA = 160.2176634
"""One eV/A^3 in GPa."""

AMU_ANG2_PER_FS2_IN_EV = 103.642697
"""One amu (A/fs)^2 in eV: multiplies m v^2 to give an energy."""

MEV_PER_EV = 1000.0
"""Millielectronvolts in an electronvolt."""

PS_PER_FS = 1e-3
"""Picoseconds in a femtosecond."""
