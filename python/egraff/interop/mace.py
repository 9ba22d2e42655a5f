# SPDX-License-Identifier: GPL-2.0-or-later
"""MACE models of mace-torch (0.3.16), as options and weights of egraff's MACE.

What differs, and is translated:

- The product. mace-torch keeps coefficients U with nu equal indices, more than are independent once
  contracted with equal features; egraff keeps an independent basis of polynomials. Each U is a
  combination of that basis, which turns theirs into our weights exactly.
- Products with the one-hot element become one linear map for each element.
- The radial network: mace-torch scales SiLU to unit second moment, egraff multiplies by sqrt(2);
  and the Bessel functions differ by a constant. Both go into the weights.
- Weights of the edges' product come in the order of its output there, of its input here.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from e3nn import o3
from torch import Tensor

from egraff.errors import InputError
from egraff.interop.weights import SILU_SCALE, NamedWeights, fold_product
from egraff.models import build
from egraff.nn.convolution import EdgeConvolution
from egraff.nn.polynomials import multiplicity, polynomial_basis
from egraff.nn.symmetric_contraction import SymmetricContraction

_INTERACTIONS = {
    "RealAgnosticInteractionBlock": "real_agnostic",
    "RealAgnosticResidualInteractionBlock": "real_agnostic_residual",
    "RealAgnosticDensityInteractionBlock": "real_agnostic_density",
    "RealAgnosticDensityResidualInteractionBlock": "real_agnostic_density_residual",
}
# argument of mace-torch -> option of egraff, where the value is the same
_OPTIONS = {
    "r_max": "r_max",
    "num_bessel": "n_radial",
    "num_polynomial_cutoff": "cutoff_p",
    "max_ell": "l_max",
    "num_interactions": "n_layers",
    "hidden_irreps": "hidden_irreps",
    "avg_num_neighbors": "avg_num_neighbours",
    "correlation": "correlation",
    "gate": "gate",
    "pair_repulsion": "zbl",
    "apply_cutoff": "apply_cutoff",
    "radial_type": "radial_basis",
    "radial_MLP": "radial_widths",
    "edge_irreps": "edge_irreps",
    "use_edge_irreps_first": "edge_irreps_first",
    "use_last_readout_only": "last_readout_only",
    "heads": "heads",
    "head": "head",
}
# translated below, or without influence on the energy of this class of models
_OTHER = {
    "class",
    "elements",
    "atomic_energies",
    "atomic_inter_scale",
    "atomic_inter_shift",
    "MLP_irreps",
    "interaction_cls",
    "interaction_cls_first",
    "distance_transform",
    "use_agnostic_product",
    "use_reduced_cg",
    "keep_last_layer_irreps",
}
_ASSUMED: dict[str, tuple[Any, ...]] = {
    "use_so3": (False,),
    "use_embedding_readout": (False,),
    "embedding_specs": (None,),
    "readout_cls": (None, "NonLinearReadoutBlock"),
}


def convert_config(config: dict[str, Any], dtype: str) -> dict[str, Any]:
    """Translate the arguments of mace-torch's ``MACE`` or ``ScaleShiftMACE``.

    Args:
        config: ``class`` (its name), ``elements`` (atomic numbers), ``head`` (the one to use,
            default the first) and the arguments, with irreps, classes and the gate by name.
        dtype: ``float32`` or ``float64``.

    Raises:
        InputError: a block or an argument that egraff's MACE does not have.
    """
    model_class = config.get("class", "ScaleShiftMACE")
    if model_class not in ("MACE", "ScaleShiftMACE"):
        raise _unsupported("class", model_class)
    options: dict[str, Any] = {"dtype": dtype}
    for name, value in config.items():
        if name in _OPTIONS:
            if value is not None or name == "gate":
                options[_OPTIONS[name]] = "none" if value is None else value
        elif name in _ASSUMED:
            if value not in _ASSUMED[name]:
                raise _unsupported(name, value)
        elif name not in _OTHER:
            raise _unsupported(name, value)
    for name, ours in (
        ("interaction_cls", "interaction"),
        ("interaction_cls_first", "interaction_first"),
    ):
        if config[name] not in _INTERACTIONS:
            raise _unsupported(name, config[name])
        options[ours] = _INTERACTIONS[config[name]]
    width = o3.Irreps(config["MLP_irreps"])
    if len(width) != 1 or width[0].ir != o3.Irrep("0e"):
        raise _unsupported("MLP_irreps", config["MLP_irreps"])
    elements = [chemical_symbols[number] for number in config["elements"]]
    options |= {
        "elements": elements,
        "readout_width": width[0].mul,
        "distance_transform": str(config.get("distance_transform") or "None").lower(),
        "species_product": not config.get("use_agnostic_product", False),
        # as there: a residual first interaction gives isolated atoms an energy
        "isolated_atom": "network",
    }
    return options | _energies(config, model_class)


def _energies(config: dict[str, Any], model_class: str) -> dict[str, Any]:
    """Return scales and shifts of each head, and what multiplies the nuclear repulsion."""
    heads = config.get("heads") or ["default"]
    n_elements = len(config["elements"])
    references = np.broadcast_to(
        np.atleast_2d(np.asarray(config["atomic_energies"], dtype=np.float64)),
        (len(heads), n_elements),
    )
    scales, shifts = np.ones(len(heads)), np.zeros(len(heads))
    if model_class == "ScaleShiftMACE":
        scales = np.broadcast_to(config["atomic_inter_scale"], len(heads))
        shifts = np.broadcast_to(config["atomic_inter_shift"], len(heads))
    active = heads.index(config.get("head") or heads[0])
    return {
        "heads": heads,
        "zbl_scale": float(scales[active]),
        "head_energy_scale": {
            head: [float(scale)] * n_elements for head, scale in zip(heads, scales, strict=True)
        },
        "head_energy_shift": {
            head: (reference + shift).tolist()
            for head, reference, shift in zip(heads, references, shifts, strict=True)
        },
    }


def convert_state(
    config: dict[str, Any], state: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Translate options and weights.

    Args:
        config: see :func:`convert_config`.
        state: the original's ``state_dict()``.

    Returns:
        Options for :func:`egraff.models.build`, and the state of the model it makes.

    Raises:
        InputError: something that egraff's MACE does not have, or a weight that is missing.
    """
    weights = NamedWeights(state, "a MACE model of mace-torch")
    embedding = weights["node_embedding.linear.weight"]
    options = convert_config(config, str(embedding.dtype).removeprefix("torch."))
    model = build("mace", **options)
    result = model.state_dict()
    n_species = len(options["elements"])
    identity = torch.eye(n_species, dtype=embedding.dtype)

    result["embedding.weight"] = embedding.reshape(n_species, -1) / math.sqrt(n_species)
    first_scale = 1.0
    if model.config.radial_basis == "bessel":
        first_scale = math.sqrt(model.r_max / 2.0)
        roots = weights["radial_embedding.bessel_fn.bessel_weights"]
        result["basis.roots"] = roots * (model.r_max / math.pi)
    _copy_pair_constants(weights, result, config["elements"])
    for number, layer in enumerate(model.layers):
        theirs, ours = f"interactions.{number}", f"layers.{number}.interaction"
        for name in ("linear_up", "linear"):
            result[f"{ours}.{name}.weight"] = weights[f"{theirs}.{name}.weight"]
        _copy_radial(weights, theirs, result, ours, layer.interaction, first_scale)
        folded = fold_product(layer.interaction.skip, weights[f"{theirs}.skip_tp.weight"], identity)
        for block, weight in folded.items():
            result[f"{ours}.skip.blocks.{block}.weight"] = weight
        theirs, ours = f"products.{number}", f"layers.{number}"
        result[f"{ours}.linear.weight"] = weights[f"{theirs}.linear.weight"]
        _copy_product(weights, theirs, result, ours, layer.product)
    _copy_readouts(weights, result)
    return options, {
        name: value.to(model.state_dict()[name].dtype) for name, value in result.items()
    }


def _copy_pair_constants(
    weights: NamedWeights, result: dict[str, Tensor], numbers: list[int]
) -> None:
    """Copy the constants of the distance transform and of the nuclear repulsion."""
    for theirs, ours in (
        ("radial_embedding.distance_transform.a", "transform.a"),
        ("radial_embedding.distance_transform.q", "transform.q"),
        ("radial_embedding.distance_transform.p", "transform.p"),
        ("radial_embedding.distance_transform.alpha", "transform.alpha"),
        ("pair_repulsion_fn.a_exp", "zbl.a_exponent"),
        ("pair_repulsion_fn.a_prefactor", "zbl.a_prefactor"),
    ):
        if ours in result:
            result[ours] = weights[theirs]
    for theirs, ours in (
        ("radial_embedding.distance_transform.covalent_radii", "transform.radii"),
        ("pair_repulsion_fn.covalent_radii", "zbl.radii"),
    ):
        if ours in result:
            result[ours] = weights[theirs][numbers]


def _copy_radial(
    weights: NamedWeights,
    theirs: str,
    result: dict[str, Tensor],
    ours: str,
    interaction: Any,
    first_scale: float,
) -> None:
    """Copy the radial network and the density's, with the constants that differ."""
    last = len(interaction.radial.weights) - 1
    for layer in range(last + 1):
        weight = weights[f"{theirs}.conv_tp_weights.layer{layer}.weight"]
        weight = weight * (first_scale if layer == 0 else SILU_SCALE)
        if layer == last:
            weight = weight[:, _column_order(interaction.convolution)]
        result[f"{ours}.radial.weights.{layer}"] = weight
    if interaction.density is not None:
        weight = weights[f"{theirs}.density_fn.layer0.weight"]
        result[f"{ours}.density.weights.0"] = weight * first_scale


def _column_order(convolution: EdgeConvolution) -> list[int]:
    """Return, for each of our edge weights, which of theirs it is."""
    widths = [product.mul for product in convolution.products for _ in product.irreps_out]
    columns: list[list[int]] = [[] for _ in widths]
    start = 0
    for path in convolution.order:
        columns[path] = list(range(start, start + widths[path]))
        start += widths[path]
    return list(itertools.chain.from_iterable(columns))


def _copy_product(
    weights: NamedWeights,
    theirs: str,
    result: dict[str, Tensor],
    ours: str,
    product: SymmetricContraction,
) -> None:
    """Express the original's product in our basis of polynomials."""
    for number, (block, irrep) in enumerate(zip(product.blocks, product.irreps_out, strict=True)):
        source = f"{theirs}.symmetric_contractions.contractions.{number}"
        highest = max(degree for degree in range(1, 10) if f"{source}.U_matrix_{degree}" in weights)
        for index, degree_block in enumerate(block.degrees):
            degree = degree_block.index + 1
            name = "weights_max" if degree == highest else f"weights.{highest - 1 - degree}"
            change = change_of_basis(
                product.variables, irrep.ir, degree, weights[f"{source}.U_matrix_{degree}"]
            )
            weight = weights[f"{source}.{name}"]  # [n_species, n_paths, channels]
            result[f"{ours}.product.blocks.{number}.degrees.{index}.weight"] = torch.einsum(
                "kp,spc->ksc", change, weight.to(torch.float64)
            )


def change_of_basis(
    variables: o3.Irreps, irrep: o3.Irrep, degree: int, coefficients: Tensor
) -> Tensor:
    """Express coefficients of products in egraff's basis of polynomials.

    Args:
        variables: how the features transform, each irrep once.
        irrep: how the result transforms.
        degree: number of equal factors.
        coefficients: ``[irrep.dim, dim, ..., dim, n_paths]`` with ``degree`` times ``dim``,
            without the first index for scalars.

    Returns:
        ``[n_polynomials, n_paths]``, float64.

    Raises:
        InputError: the coefficients are not equivariant.
    """
    basis = polynomial_basis(variables, irrep, degree)
    column = {monomial: i for i, monomial in enumerate(basis.monomials)}
    entries = itertools.product(range(variables.dim), repeat=degree)
    target = np.array([column[tuple(sorted(entry))] for entry in entries])
    n_paths = coefficients.shape[-1]
    flat = coefficients.to(torch.float64).reshape(irrep.dim, len(target), n_paths).numpy()
    theirs = np.zeros((irrep.dim, len(column), n_paths))
    np.add.at(theirs, (slice(None), target), flat)
    metric = np.array([1.0 / multiplicity(monomial) for monomial in basis.monomials])
    change = np.einsum("kom,omp,m->kp", basis.coefficients, theirs, metric) / irrep.dim
    error = np.abs(np.einsum("kom,kp->omp", basis.coefficients, change) - theirs).max(initial=0.0)
    if error > 1e-4:
        raise InputError(
            f"expected equivariant coefficients of degree {degree} for {irrep}, "
            f"got some that differ by {error:.1e}",
            field="U_matrix",
            fix="this model's symmetric contraction cannot be converted",
        )
    return torch.from_numpy(change)


def _copy_readouts(weights: NamedWeights, result: dict[str, Tensor]) -> None:
    names = [name.rpartition(".readout.")[0] for name in result if ".readout.weight" in name]
    for number, layer in enumerate(dict.fromkeys(names)):
        for theirs, ours in (
            ("linear", "weight"),
            ("linear_1", "weight_1"),
            ("linear_2", "weight_2"),
        ):
            name = f"{layer}.readout.{ours}"
            if name in result:
                weight = weights[f"readouts.{number}.{theirs}.weight"]
                result[name] = weight.reshape(result[name].shape)


def _unsupported(name: str, value: Any) -> InputError:
    return InputError(
        f"egraff's MACE has no {name} = {value!r}",
        field=name,
        fix="this model cannot be converted",
    )
