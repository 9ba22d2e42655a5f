# SPDX-License-Identifier: GPL-2.0-or-later
"""Labelled structures: reading, judging, splitting, and the sets that come with the package.

Nothing here needs torch.
"""

from egraff.data.consistency import EnergyForceSlope, energy_force_slope
from egraff.data.distances import nearest_neighbours, shortest_distance
from egraff.data.embedded import dataset_identity, embedded, list_embedded
from egraff.data.frames import Frame, frame_from_atoms, read_frames, read_images
from egraff.data.reference_energies import (
    composition_matrix,
    fit_reference_energies,
    reference_energies_from_atoms,
)
from egraff.data.splits import (
    check_overlap,
    find_overlap,
    load_splits,
    save_splits,
    split_frames,
)
from egraff.data.validation import validate_frames

__all__ = [
    "EnergyForceSlope",
    "Frame",
    "check_overlap",
    "composition_matrix",
    "dataset_identity",
    "embedded",
    "energy_force_slope",
    "find_overlap",
    "fit_reference_energies",
    "frame_from_atoms",
    "list_embedded",
    "load_splits",
    "nearest_neighbours",
    "read_frames",
    "read_images",
    "reference_energies_from_atoms",
    "save_splits",
    "shortest_distance",
    "split_frames",
    "validate_frames",
]
