# SPDX-License-Identifier: GPL-2.0-or-later
"""The units egraff works in, and the constants that connect them.

Energies are in eV, lengths in Angstrom, masses in amu, temperatures in K, stress in eV/A^3. Times
carry their unit in the name (``timestep_fs``, ``damp_ps``). Constants are those of CODATA 2022; all
but the atomic mass are exact by the definition of the SI.
"""

EV_IN_JOULE = 1.602176634e-19
"""One eV in J."""

AMU_IN_KG = 1.66053906892e-27
"""One amu in kg."""

BOLTZMANN_EV_PER_K = 1.380649e-23 / EV_IN_JOULE
"""Boltzmann constant in eV/K."""

EV_PER_ANG3_IN_GPA = 160.2176634
"""One eV/A^3 in GPa."""

AMU_ANG2_PER_FS2_IN_EV = AMU_IN_KG * 1e10 / EV_IN_JOULE
"""One amu (A/fs)^2 in eV: multiplies m v^2 to give an energy."""

AMU_PER_ANG3_IN_G_PER_CM3 = AMU_IN_KG * 1e27
"""One amu/A^3 in g/cm^3."""

MEV_PER_EV = 1000.0
"""Millielectronvolts in an electronvolt."""

PS_PER_FS = 1e-3
"""Picoseconds in a femtosecond."""
