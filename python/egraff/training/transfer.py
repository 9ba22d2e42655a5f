# SPDX-License-Identifier: GPL-2.0-or-later
"""A model with other elements, and with the weights of the one that it comes from.

Weights that belong to an element are the rows of an axis as long as the list of elements (or as
its square, for pairs). Which axis that is follows from the shapes of the same architecture with
one element more, so that no architecture has to say it.

A new element starts with the rows of the known element that is most like it: of its own group in
the periodic table the one nearest in atomic number, else the nearest in atomic number of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from ase.data import atomic_numbers, chemical_symbols

from egraff.errors import EgraffError
from egraff.models import ForceField, build

# of options with one value for each element, and of those that a head has
_PER_ELEMENT = ("energy_scale", "energy_shift", "avg_num_neighbours")
_PER_HEAD = ("head_energy_scale", "head_energy_shift")
_NOBLE = (2, 10, 18, 36, 54, 86, 118)


def most_like(element: str, known: Sequence[str]) -> str:
    """Return the known element whose weights a new one starts with; see the module's text."""
    group, number = _group(element), atomic_numbers[element]

    def distance(other: str) -> tuple[bool, int, int]:
        return (
            _group(other) != group,
            abs(atomic_numbers[other] - number),
            atomic_numbers[other],
        )

    return min(known, key=distance)


def with_elements(
    model: ForceField, elements: Sequence[str], *, energy_shift: Sequence[float]
) -> ForceField:
    """Return the model for other elements, in their order.

    Args:
        model: the model.
        elements: chemical symbols; those that the model lacks start as :func:`most_like` says.
        energy_shift: E0 in eV of each of ``elements``.

    Raises:
        EgraffError: a weight has an axis that belongs to elements in no way that is known.
    """
    rows = [
        model.elements.index(element if element in model.elements else like)
        for element in elements
        for like in [most_like(element, model.elements)]
    ]
    config = _options(model, elements, rows)
    config["energy_shift"] = [float(value) for value in energy_shift]
    new = build(model.architecture, seed=0, **config)
    state = model.state_dict()
    weights = dict(new.named_parameters())
    n = len(model.elements)
    axes = _element_axes(model) if list(elements) != model.elements else {}
    for name, own in new.state_dict().items():
        if name in axes and name not in weights:
            continue  # made of the elements, not learnt
        tensor = state[name]
        for axis, size in axes.get(name, {}).items():
            index = rows if size == n else [a * n + b for a in rows for b in rows]
            tensor = tensor.index_select(axis, torch.tensor(index))
        if tensor.shape != own.shape:
            raise EgraffError(
                f"{model.architecture}: {name}: expected shape {list(own.shape)} for the elements "
                f"{' '.join(elements)}, got {list(tensor.shape)}\n"
                "  fix: keep the elements of the model"
            )
        state[name] = tensor
    shift = torch.tensor(config["energy_shift"], dtype=torch.float64)
    state["scale_shift.shift"] = shift
    state |= {
        name: own for name, own in new.state_dict().items() if name in axes and name not in weights
    }
    new.load_state_dict(state)
    return new


def _options(model: ForceField, elements: Sequence[str], rows: Sequence[int]) -> dict[str, Any]:
    """Return the options of a model for other elements."""
    config = model.config.model_dump(mode="json")
    for name in _PER_ELEMENT:
        if isinstance(config[name], list):
            config[name] = [config[name][row] for row in rows]
    # those of the head in use are in energy_scale and energy_shift
    config |= {name: None for name in _PER_HEAD if name in config}
    if config["pair_cutoffs"] is not None:
        config["pair_cutoffs"] = {
            centre: {o: value for o, value in entry.items() if o in elements}
            if isinstance(entry, dict)
            else entry
            for centre, entry in config["pair_cutoffs"].items()
            if centre in elements
        }
    return config | {"elements": list(elements)}


def _element_axes(model: ForceField) -> dict[str, dict[int, int]]:
    """Return, of each tensor of the state, which axes belong to elements, and their lengths."""
    unused = next(symbol for symbol in chemical_symbols[1:] if symbol not in model.elements)
    more = [*model.elements, unused]
    rows = [*range(len(model.elements)), 0]
    larger = build(model.architecture, seed=0, **_options(model, more, rows)).state_dict()
    found: dict[str, dict[int, int]] = {}
    for name, tensor in model.state_dict().items():
        axes = {
            axis: size
            for axis, (size, other) in enumerate(zip(tensor.shape, larger[name].shape, strict=True))
            if size != other
        }
        if axes:
            found[name] = axes
    return found


def _group(element: str) -> int:
    """Return the group of an element, 1 to 18; lanthanides and actinides are of group 3."""
    number = atomic_numbers[element]
    period = sum(number > last for last in _NOBLE)
    first = (0, *_NOBLE)[period] + 1
    length = _NOBLE[period] - first + 1
    place = number - first + 1
    if element == "He":
        return 18
    if length <= 8:
        return place if place <= 2 else place + 10
    if length == 18:
        return place
    return place if place <= 2 else max(3, place - 14)
