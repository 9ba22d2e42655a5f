# SPDX-License-Identifier: GPL-2.0-or-later
"""How the embedded data sets are made: ``python -m egraff.data.generate --set molecule --out DIR``.

Molecular dynamics on an extended tight-binding surface (GFN1-xTB or GFN2-xTB, from the `tblite`
package), sampled with a seeded Langevin thermostat. It needs `tblite`; nothing else in egraff does.
"""
