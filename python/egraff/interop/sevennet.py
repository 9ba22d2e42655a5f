# SPDX-License-Identifier: GPL-2.0-or-later
"""SevenNet models (sevenn up to 0.12), as options and weights of egraff's NequIP.

SevenNet is NequIP without parity. What differs is taken into the weights where that is exact:

====================================  =========================================================
sevenn                                here
====================================  =========================================================
denominator of each convolution       one norm for all layers, the rest in ``linear_in``
two linear maps of the readout        their product, in one
weights of paths sorted by output     in the order of the paths (from sevenn 0.11 on)
Clebsch-Gordan coefficients of e3nn   sign of a path's weights, where e3nn had another one
map with the one-hot element          one map for each element
====================================  =========================================================
"""

from __future__ import annotations

import math
from typing import Any

import torch
from ase.data import chemical_symbols
from e3nn import o3
from torch import Tensor

from egraff.errors import InputError
from egraff.interop.options import unsupported
from egraff.interop.weights import SILU_SCALE, NamedWeights, fold_product
from egraff.models import build
from egraff.models.nequip import Interaction, NequIP

ORIGIN = "a SevenNet model"
# the first version that sorts the weights of a convolution's paths by what they make
SORTED_PATHS = (0, 11, 0)

# options that must have one of these values; the first is what a file without the option means
_ASSUMED: dict[str, tuple[Any, ...]] = {
    "_model_type": ("E3_equivariant_model",),
    "interaction_type": ("nequip",),
    "act_gate": ({"e": "silu", "o": "tanh"},),
    "act_scalar": ({"e": "silu", "o": "tanh"},),
    "act_radial": ("silu",),
    "readout_as_fcn": (False,),
    "use_bias_in_linear": (False,),
    "optimize_by_reduce": (True, None),
    "is_parity": (True, False),
    "use_modality": (False,),
    "use_flash_tp": (False,),
    "use_oeq": (False,),
}
# options that become egraff's
_TRANSLATED = """
    version _type_map _number_of_species chemical_species _chemical_species_by_atomic_number
    irreps_manual channel lmax lmax_edge lmax_node radial_basis cutoff_function cutoff
    num_convolution_layer weight_nn_hidden_neurons train_shift_scale self_connection_type
    _normalize_sph cuequivariance_config
"""
# what the training was, and values that the weights hold as well
_IGNORED = """
    conv_denominator avg_num_neigh avg_num_neigh_cp train_denominator train_avg_num_neigh shift
    scale shift_cp scale_cp conv_denominator_cp readout_fcn_hidden_neurons
    readout_fcn_activation device optimizer scheduler loss optim_param scheduler_param
    loss_param continue random_seed epoch force_loss_weight stress_loss_weight use_testset
    _num_workers num_workers per_epoch _is_trace_stress is_train_stress train_shuffle
    error_record best_metric csv_log is_ddp ddp_backend local_rank rank world_size
    load_dataset_path load_validset_path load_trainset_path load_testset_path save_dataset_path
    save_by_label save_by_train_valid dtype data_format data_format_args format_outputs_for_ase
    data_divide_ratio batch_size preprocess_num_cores use_species_wise_shift_scale
    use_modal_wise_shift use_modal_wise_scale data_shuffle compute_statistics dataset_type
    use_weight data_weight use_modal_node_embedding use_modal_self_inter_intro
    use_modal_self_inter_outro use_modal_output_block _modal_map _modal_map_cp
    _number_of_modalities _number_of_modalities_cp use_modality_cp default_modal data_modality
    when _load_trainset _flash_lammps energy_key force_key stress_key
"""
_ENVELOPES = ("poly_cut", "XPLOR")


def convert_config(config: dict[str, Any]) -> dict[str, Any]:
    """Translate the options in a checkpoint of sevenn, without what only its weights say.

    Raises:
        InputError: an option that egraff's NequIP does not have.
    """
    for name, allowed in _ASSUMED.items():
        if config.get(name, allowed[0]) not in allowed:
            raise unsupported("NequIP", name, config[name])
    known = {*_ASSUMED, *_TRANSLATED.split(), *_IGNORED.split()}
    for name, value in config.items():
        if name not in known:
            raise unsupported("NequIP", name, value)
    if config.get("is_parity", True):
        raise unsupported("conversion from SevenNet", "is_parity", True)
    if (config.get("cuequivariance_config") or {}).get("use"):
        raise unsupported("NequIP", "cuequivariance_config", config["cuequivariance_config"])
    # checkpoints before 0.9.1 do not have the option and did not normalise
    old = _version(config) < (0, 9, 1)
    if not config.get("_normalize_sph", not old):
        raise unsupported("NequIP", "_normalize_sph", False)
    l_max = config["lmax"]
    for name in ("lmax_edge", "lmax_node"):
        if config.get(name, -1) not in (-1, l_max):
            raise unsupported("NequIP", name, config[name])
    positions = config["_type_map"]
    options = {
        "elements": [chemical_symbols[z] for z in sorted(positions, key=positions.get)],
        "r_max": float(config["cutoff"]),
        "n_layers": config["num_convolution_layer"],
        "l_max": l_max,
        "group": "so3",
        "parity": False,
        "first_self_connection": True,
        "self_connection": _self_connection(config),
        "energy_scale_trainable": bool(config.get("train_shift_scale", False)),
        "energy_shift_trainable": bool(config.get("train_shift_scale", False)),
    }
    return options | _features(config) | _radial(config)


def convert_state(
    config: dict[str, Any], state: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Translate options and weights.

    Args:
        config: under ``config`` in the checkpoint.
        state: under ``model_state_dict``.

    Returns:
        Options for :func:`egraff.models.build`, and the state of the model it makes.

    Raises:
        InputError: an option that egraff lacks, or a weight that is missing or not known.
    """
    options = convert_config(config)
    given = NamedWeights(state, ORIGIN)
    options["dtype"] = str(given["reduce_hidden_to_energy.linear.weight"].dtype).split(".")[1]
    denominators = [
        float(given[f"{layer}_convolution.denominator"]) for layer in range(options["n_layers"])
    ]
    options["avg_num_neighbours"] = denominators[0] ** 2
    # products of weights are made in float64 and rounded once
    model = build("nequip", seed=0, **{**options, "dtype": "float64"})
    _same_irreps(model, config)
    weights = _Taken(given)
    result = model.state_dict()
    scalars, n_species = model.embedding.embedding_dim, len(options["elements"])
    table = weights.take("onehot_to_feature_x.linear.weight").reshape(n_species, scalars)
    result["embedding.weight"] = table / math.sqrt(n_species)
    roots = weights.take("edge_embedding.basis_function.coeffs")
    result["basis.roots"] = roots * (options["r_max"] / math.pi)
    for number, layer in enumerate(model.layers):
        converted = _layer(weights, number, layer, ordered=_version(config) >= SORTED_PATHS)
        converted["linear_in.weight"] *= denominators[0] / denominators[number]
        result |= {f"layers.{number}.{name}": value for name, value in converted.items()}
    result["readout.weights.0"] = _readout(weights, result["readout.weights.0"].shape[0])
    for name in ("shift", "scale"):
        values = weights.take(f"rescale_atomic_energy.{name}").reshape(-1)
        result[f"scale_shift.{name}"] = values.expand(n_species).clone()
        options[f"energy_{name}"] = result[f"scale_shift.{name}"].tolist()
    weights.all_taken()
    target = build("nequip", seed=0, **options).state_dict()
    return options, {name: value.to(target[name].dtype) for name, value in result.items()}


class _Taken:
    """The original's weights in float64, and which of them have been read."""

    # what e3nn stores without learning it, and what has no values
    CONSTANTS = (".output_mask", ".bias", ".convolution.weight", ".mul.weight", ".denominator")

    def __init__(self, given: NamedWeights) -> None:
        self.given = given
        self.taken: set[str] = set()

    def take(self, name: str) -> Tensor:
        self.taken.add(name)
        return self.given[name].to(torch.float64)

    def all_taken(self) -> None:
        """Refuse weights that nothing was made of."""
        for name in self.given.keys() - self.taken:
            if name.endswith(self.CONSTANTS) or "._w3j_" in name:
                continue
            raise InputError(
                f"expected only weights that egraff's NequIP has, got {name}",
                field="state",
                fix="this model cannot be converted",
            )


def _version(config: dict[str, Any]) -> tuple[int, ...]:
    """Return the version of sevenn; a development version comes before its release."""
    parts = str(config["version"]).split(".")
    numbers = tuple(int(part) for part in parts[:3])
    return (*numbers, -1) if len(parts) > 3 else (*numbers, 0)


def _self_connection(config: dict[str, Any]) -> str:
    types = config.get("self_connection_type", "nequip")
    kinds = {types} if isinstance(types, str) else set(types)
    known = {"nequip": "elements", "linear": "common"}
    if len(kinds) != 1 or not kinds <= known.keys():
        raise unsupported("NequIP", "self_connection_type", types)
    return known[kinds.pop()]


def _features(config: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the channels."""
    n_channels, l_max = config["channel"], config["lmax"]
    manual = config.get("irreps_manual") or []
    features, n_type_features = [n_channels] * (l_max + 1), n_channels
    if manual:
        n_type_features = o3.Irreps(manual[0]).dim
        # the last layer has scalars alone
        hidden = o3.Irreps(manual[1])
        for order in range(l_max + 1):
            features[order] = hidden.count(o3.Irrep(order, 1)) or features[order]
    return {"n_features": features, "n_type_features": n_type_features}


def _radial(config: dict[str, Any]) -> dict[str, Any]:
    """Return the options of basis, envelope and radial network."""
    basis = dict(config["radial_basis"])
    name = basis.pop("radial_basis_name")
    options: dict[str, Any] = {
        "n_bessel": basis.pop("bessel_basis_num", 8),
        "bessel_trainable": basis.pop("trainable_coeff", True),
    }
    if name != "bessel" or basis:
        raise unsupported("NequIP", "radial_basis", config["radial_basis"])
    envelope = dict(config["cutoff_function"])
    name = envelope.pop("cutoff_function_name")
    exponent, onset = envelope.pop("poly_cut_p_value", 6), envelope.pop("cutoff_on", None)
    if name not in _ENVELOPES or envelope or (name == "XPLOR" and onset is None):
        raise unsupported("NequIP", "cutoff_function", config["cutoff_function"])
    if name == "XPLOR":
        options["xplor_onset"] = onset / config["cutoff"]
    else:
        options["cutoff_p"] = exponent
    hidden = config["weight_nn_hidden_neurons"]
    if len(set(hidden)) > 1:
        raise unsupported("NequIP", "weight_nn_hidden_neurons", hidden)
    options |= {"radial_depth": len(hidden)} | ({"radial_width": hidden[0]} if hidden else {})
    return options


def _same_irreps(model: NequIP, config: dict[str, Any]) -> None:
    """Refuse features that differ from layer to layer in a way that egraff has no option for."""
    manual = config.get("irreps_manual") or []
    if not manual:
        return
    made = [o3.Irreps([(model.embedding.embedding_dim, (0, 1))])]
    made += [layer.irreps_out for layer in model.layers]
    if [o3.Irreps(irreps) for irreps in manual] != made:
        raise unsupported("NequIP", "irreps_manual", manual)


def _layer(weights: _Taken, number: int, layer: Interaction, *, ordered: bool) -> dict[str, Tensor]:
    """Return the weights of a layer by egraff's names."""
    result = {
        "linear_in.weight": weights.take(f"{number}_self_interaction_1.linear.weight"),
        "linear_out.weight": weights.take(f"{number}_self_interaction_2.linear.weight"),
    }
    intro = f"{number}_self_connection_intro"
    connection = layer.self_connection
    if hasattr(connection, "blocks"):
        product = weights.take(f"{intro}.fc_tensor_product.weight")
        one_hot = torch.eye(connection.n_species, dtype=torch.float64)
        for name, weight in fold_product(connection, product, one_hot).items():
            result[f"self_connection.{name}"] = weight
    else:
        result["self_connection.linear.weight"] = weights.take(f"{intro}.linear.weight")
    n_networks = len(layer.radial.weights)
    for depth in range(n_networks):
        matrix = weights.take(f"{number}_convolution.weight_nn.layer{depth}.weight")
        if depth == n_networks - 1:
            matrix = _paths(weights, number, layer, matrix, ordered=ordered)
        result[f"radial.weights.{depth}"] = matrix * (SILU_SCALE if depth > 0 else 1.0)
    return result


def _paths(
    weights: _Taken, number: int, layer: Interaction, matrix: Tensor, *, ordered: bool
) -> Tensor:
    """Bring columns ``[n_hidden, n_weights]`` into the order and sign of egraff's paths."""
    convolution = layer.convolution
    paths = [
        (block.mul, block.ir.l, harmonic.l, out.l)
        for block in layer.linear_in.irreps_out
        for _, harmonic in layer.irreps_sh
        for out in block.ir * harmonic
        if out in layer.gate.irreps_in
    ]
    theirs = convolution.order if ordered else list(range(len(paths)))
    columns = dict(zip(theirs, matrix.split([paths[k][0] for k in theirs], dim=1), strict=True))
    for k, (_, *orders) in enumerate(paths):
        name = "_w3j_{}_{}_{}".format(*orders)
        name = f"{number}_convolution.convolution._compiled_main_left_right.{name}"
        if name in weights.given:
            columns[k] = columns[k] * _sign(weights.take(name), orders, name)
    return torch.cat([columns[k] for k in range(len(paths))], dim=1)


def _sign(coupling: Tensor, orders: list[int], name: str) -> float:
    """Return 1 or -1, by which stored Clebsch-Gordan coefficients differ from e3nn's today."""
    ours = o3.wigner_3j(*orders, dtype=torch.float64)
    for sign in (1.0, -1.0):
        if torch.allclose(coupling, sign * ours, atol=1e-6):
            return sign
    raise InputError(
        f"expected e3nn's Clebsch-Gordan coefficients or their negative, got "
        f"{coupling.flatten().tolist()[:4]} ...",
        field=name,
        fix="this model cannot be converted",
    )


def _readout(weights: _Taken, n_scalars: int) -> Tensor:
    """Return the product of both linear maps, ``[n_scalars, 1]``."""
    hidden = weights.take("reduce_input_to_hidden.linear.weight").reshape(n_scalars, -1)
    last = weights.take("reduce_hidden_to_energy.linear.weight").reshape(-1, 1)
    return hidden @ last / math.sqrt(last.shape[0])
