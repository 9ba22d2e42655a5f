# SPDX-License-Identifier: GPL-2.0-or-later
"""BOTNet models of the authors' code (github.com/gncs/botnet), as options and weights of egraff's.

What differs is as for MACE (:mod:`egraff.interop.mace`): the one-hot element, the scale of SiLU,
and the constant of the Bessel functions. The edges' weights have the same order.
"""

from __future__ import annotations

from typing import Any

from ase.data import chemical_symbols
from torch import Tensor

from egraff.interop import mace_family
from egraff.interop.options import OptionTable
from egraff.interop.weights import NamedWeights, Target
from egraff.models import build

TABLE = OptionTable("BOTNet", renamed=mace_family.OPTIONS, elsewhere=mace_family.ELSEWHERE)
_INTERACTIONS = {
    "AgnosticNonlinearInteractionBlock": "agnostic",
    "AgnosticResidualNonlinearInteractionBlock": "agnostic_residual",
    "ElementDependentInteractionBlock": "element_dependent",
    "ResidualElementDependentInteractionBlock": "element_dependent_residual",
}
# class of the original -> perceptron in the last readout, last readout only, scale and shift
_CLASSES = {
    "BodyOrderedModel": (False, False, False),
    "NonLinearBodyOrderedModel": (True, False, False),
    "SingleReadoutModel": (False, True, False),
    "ScaleShiftBodyOrderedModel": (False, False, True),
    "ScaleShiftNonLinearBodyOrderedModel": (True, False, True),
    "ScaleShiftSingleReadoutModel": (False, True, True),
    "ScaleShiftNonLinearSingleReadoutModel": (True, True, True),
}


def convert_config(config: dict[str, Any], dtype: str) -> dict[str, Any]:
    """Translate the arguments of the original's models.

    Args:
        config: ``class`` (its name), ``elements`` (atomic numbers) and the arguments, with irreps,
            classes and the gate by name.
        dtype: ``float32`` or ``float64``.

    Raises:
        InputError: a class or block that egraff's BOTNet does not have.
    """
    perceptron, last_only, scaled = TABLE.choice("class", config["class"], _CLASSES)
    if not config["class"].endswith("NonLinearBodyOrderedModel"):
        # the other classes have one kind for all layers
        config = {**config, "interaction_cls_first": config["interaction_cls"]}
    n_elements = len(config["elements"])
    shift = config["atomic_inter_shift"] if scaled else 0.0
    options = {
        **TABLE.translate(config),
        **mace_family.interaction_kinds(TABLE, config, _INTERACTIONS),
        "elements": [chemical_symbols[number] for number in config["elements"]],
        "dtype": dtype,
        "energy_scale": [config["atomic_inter_scale"] if scaled else 1.0] * n_elements,
        "energy_shift": [energy + shift for energy in config["atomic_energies"]],
        "isolated_atom": "network",
        "readout": "mlp" if perceptron else "linear",
        "last_readout_only": last_only,
    }
    if perceptron:
        options["readout_width"] = TABLE.scalar_width("MLP_irreps", config["MLP_irreps"])
        options["gate"] = config["gate"]
    return options


def convert_state(
    config: dict[str, Any], state: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Translate options and weights; see :mod:`egraff.interop`.

    Args:
        config: see :func:`convert_config`.
        state: the original's ``state_dict()``.
    """
    weights = NamedWeights(state, "a BOTNet model of the authors' code")
    embedding = weights["node_embedding.linear.weight"]
    options = convert_config(config, str(embedding.dtype).removeprefix("torch."))
    model = build("botnet", **options)
    target = Target(model)
    mace_family.copy_embedding(weights, target)
    scale = mace_family.copy_bessel(weights, target, model.r_max)
    for number, layer in enumerate(model.layers):
        mace_family.copy_interaction(weights, target, number, layer.interaction, basis_scale=scale)
    mace_family.copy_readouts(weights, target)
    return options, target.finished()
