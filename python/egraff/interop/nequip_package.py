# SPDX-License-Identifier: GPL-2.0-or-later
"""What NequIP and Allegro models of the nequip packages have in common."""

from __future__ import annotations

from typing import Any

from egraff.interop.options import OptionTable, same
from egraff.interop.weights import NamedWeights, Target

# option of the packages -> option of egraff
OPTIONS = {
    "type_names": "elements",
    "model_dtype": "dtype",
    "per_edge_type_cutoff": "pair_cutoffs",
    "num_layers": "n_layers",
    "avg_num_neighbors": "avg_num_neighbours",
    "per_type_energy_scales": "energy_scale",
    "per_type_energy_shifts": "energy_shift",
    "per_type_energy_scales_trainable": "energy_scale_trainable",
    "per_type_energy_shifts_trainable": "energy_shift_trainable",
    **same("r_max l_max parity"),
}
# of a radial basis of Bessel functions
BESSEL = {
    "num_bessels": "n_bessel",
    "polynomial_cutoff_p": "cutoff_p",
    **same("bessel_trainable"),
}
# of the training and the compiler
IGNORED = frozenset({"seed", "do_derivatives", "compile_mode"})


def translated(table: OptionTable, config: dict[str, Any]) -> dict[str, Any]:
    """Translate options; those that the packages key by element become lists.

    Raises:
        InputError: an option that egraff lacks.
    """
    converted = table.translate(config)
    for name in ("energy_scale", "energy_shift", "avg_num_neighbours"):
        if isinstance(converted.get(name), dict):
            converted[name] = [converted[name][element] for element in converted["elements"]]
    return converted


def copy_scale_shift(weights: NamedWeights, target: Target) -> None:
    """Copy scales and shifts of the energy, of which there is one, or one for each element."""
    for theirs, ours in (("scales", "scale"), ("shifts", "shift")):
        values = weights.get(f"per_type_energy_scale_shift.{theirs}")
        if values is not None and values.numel():
            name = f"scale_shift.{ours}"
            target[name] = values.reshape(-1).expand_as(target[name]).clone()
