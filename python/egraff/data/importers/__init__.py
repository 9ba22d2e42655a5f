# SPDX-License-Identifier: GPL-2.0-or-later
"""Read data sets in the layouts of public repositories, from a local copy, and write our format.

A layout is a function with `@importer` (`egraff.data.importers.registry`). It gives parts: frames
as they stand in the source, with the units that the source states, or none. What they mean is
settled in one place (`units`), as is what is checked (`checks`) and written (`write`). Nothing that
a copy holds is ever executed: pickles are refused by name.
"""

# the layouts register themselves
from egraff.data.importers import ase_db, deepmd, lmdb_file, npz, recipes  # noqa: F401
from egraff.data.importers.registry import IMPORTERS, ImportOptions, Part
from egraff.data.importers.write import ImportResult, import_data

__all__ = ["IMPORTERS", "ImportOptions", "ImportResult", "Part", "import_data"]
