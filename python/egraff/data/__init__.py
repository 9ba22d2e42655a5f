# SPDX-License-Identifier: GPL-2.0-or-later
"""Labelled structures: reading, judging, splitting, and the sets that come with the package.

Nothing here needs torch.
"""

from egraff.data.consistency import Slope, energy_force_slope, energy_stress_slope
from egraff.data.distances import nearest_neighbours, shortest_distance
from egraff.data.embedded import dataset_identity, embedded, list_embedded
from egraff.data.frames import Frame, frame_from_atoms, read_frames, read_images
from egraff.data.isolated_atoms import (
    describe_isolated,
    isolated_energies,
    separate_isolated_atoms,
)
from egraff.data.labels import LabelKeys, label_keys
from egraff.data.overlap import check_overlap, find_overlap, find_repeats
from egraff.data.reference_energies import (
    composition_matrix,
    fit_errors,
    fit_reference_energies,
    is_determined,
    read_isolated_atoms,
    reference_energies_from_atoms,
    undetermined_elements,
)
from egraff.data.splits import load_splits, save_splits, split_frames
from egraff.data.validation import validate_frames

__all__ = [
    "Frame",
    "LabelKeys",
    "Slope",
    "check_overlap",
    "composition_matrix",
    "dataset_identity",
    "describe_isolated",
    "embedded",
    "energy_force_slope",
    "energy_stress_slope",
    "find_overlap",
    "find_repeats",
    "fit_errors",
    "fit_reference_energies",
    "frame_from_atoms",
    "is_determined",
    "isolated_energies",
    "label_keys",
    "list_embedded",
    "load_splits",
    "nearest_neighbours",
    "read_frames",
    "read_images",
    "read_isolated_atoms",
    "reference_energies_from_atoms",
    "save_splits",
    "separate_isolated_atoms",
    "shortest_distance",
    "split_frames",
    "undetermined_elements",
    "validate_frames",
]
