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
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from e3nn import o3
from torch import Tensor

from egraff.errors import InputError
from egraff.interop import mace_family
from egraff.interop.options import OptionTable, same
from egraff.interop.weights import NamedWeights, Target
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
TABLE = OptionTable(
    "MACE",
    renamed={
        **mace_family.OPTIONS,
        "pair_repulsion": "zbl",
        "radial_type": "radial_basis",
        "radial_MLP": "radial_widths",
        "use_edge_irreps_first": "edge_irreps_first",
        "use_last_readout_only": "last_readout_only",
        **same("correlation apply_cutoff edge_irreps heads head"),
    },
    assumed={
        "use_so3": [False],
        "use_embedding_readout": [False],
        "embedding_specs": [None],
        "readout_cls": [None, "NonLinearReadoutBlock"],
    },
    # the last two have no influence on the energy of this class of models
    elsewhere=mace_family.ELSEWHERE
    | {"distance_transform", "use_agnostic_product", "use_reduced_cg", "keep_last_layer_irreps"},
)


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
    TABLE.require("class", model_class, "MACE", "ScaleShiftMACE")
    options = {
        **TABLE.translate(config),
        **mace_family.interaction_kinds(TABLE, config, _INTERACTIONS),
        "dtype": dtype,
        "elements": [chemical_symbols[number] for number in config["elements"]],
        "readout_width": TABLE.scalar_width("MLP_irreps", config["MLP_irreps"]),
        "distance_transform": str(config.get("distance_transform") or "None").lower(),
        "species_product": not config.get("use_agnostic_product", False),
        # as there: a residual first interaction gives isolated atoms an energy
        "isolated_atom": "network",
        **_energies(config, model_class),
    }
    if "gate" in config:
        options["gate"] = "none" if config["gate"] is None else config["gate"]
    return options


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
    """Translate options and weights; see :mod:`egraff.interop`.

    Args:
        config: see :func:`convert_config`.
        state: the original's ``state_dict()``.
    """
    weights = NamedWeights(state, "a MACE model of mace-torch")
    embedding = weights["node_embedding.linear.weight"]
    options = convert_config(config, str(embedding.dtype).removeprefix("torch."))
    model = build("mace", **options)
    target = Target(model)
    mace_family.copy_embedding(weights, target)
    scale = 1.0
    if model.config.radial_basis == "bessel":
        scale = mace_family.copy_bessel(weights, target, model.r_max)
    _copy_pair_constants(weights, target, config["elements"])
    for number, layer in enumerate(model.layers):
        interaction = layer.interaction
        columns = _column_order(interaction.convolution)
        mace_family.copy_interaction(
            weights, target, number, interaction, basis_scale=scale, columns=columns
        )
        if interaction.density is not None:
            weight = weights[f"interactions.{number}.density_fn.layer0.weight"] * scale
            target[f"layers.{number}.interaction.density.weights.0"] = weight
        theirs, ours = f"products.{number}", f"layers.{number}"
        target[f"{ours}.linear.weight"] = weights[f"{theirs}.linear.weight"]
        _copy_product(weights, theirs, target, ours, layer.product)
    mace_family.copy_readouts(weights, target)
    return options, target.finished()


def _copy_pair_constants(weights: NamedWeights, target: Target, numbers: list[int]) -> None:
    """Copy the constants of the distance transform and of the nuclear repulsion."""
    transform, repulsion = "radial_embedding.distance_transform", "pair_repulsion_fn"
    for ours, theirs in (
        *((f"transform.{name}", f"{transform}.{name}") for name in ("a", "q", "p", "alpha")),
        ("zbl.a_exponent", f"{repulsion}.a_exp"),
        ("zbl.a_prefactor", f"{repulsion}.a_prefactor"),
    ):
        if ours in target:
            target[ours] = weights[theirs]
    for ours, theirs in (("transform.radii", transform), ("zbl.radii", repulsion)):
        if ours in target:
            target[ours] = weights[f"{theirs}.covalent_radii"][numbers]


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
    target: Target,
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
            target[f"{ours}.product.blocks.{number}.degrees.{index}.weight"] = torch.einsum(
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
