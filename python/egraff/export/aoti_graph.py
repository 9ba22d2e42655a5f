# SPDX-License-Identifier: GPL-2.0-or-later
"""A model as one program of tensor operations: energies and their derivative by the edge vectors.

    species     int64 [n_nodes]
    edge_index  int64 [2, n_edges]
    edge_vec    dtype [n_edges, 3]
    seed        float64 [n_local]     1 for an atom whose energy counts, 0 for another
        ->  the model's outputs in the order of ``outputs``, then
            d(sum of seed x atomic energy) / d(edge_vec)   dtype [n_edges, 3]

The program has no branches. It is the same on every MPI rank and for any input, so all ranks
exchange equally often.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from egraff.errors import EgraffError
from egraff.models.base import ForceField

# Sizes to trace with, all different and none of them 0 or 1, which torch would take for constants.
# They are typical of a run: the compiler shares loops among threads with them in mind.
TRACED_NODES, TRACED_LOCAL, TRACED_EDGES = 700, 500, 12_000


def trace(model: ForceField) -> torch.export.ExportedProgram:
    """Return a model and its derivative as a program for any numbers of atoms and edges.

    Args:
        model: a plain or a fused model in evaluation mode.

    Raises:
        EgraffError: parts of the model are TorchScript, which cannot be traced for any size.
    """
    scripted = [
        name for name, part in model.named_modules() if isinstance(part, torch.jit.ScriptModule)
    ]
    if scripted:
        raise EgraffError(
            f"expected an eager model, got TorchScript in {', '.join(scripted[:3])}\n"
            "  fix: load the model again, and do not script it before"
        )
    from torch.fx.experimental.proxy_tensor import make_fx

    def energies_and_gradient(
        species: Tensor, edge_index: Tensor, edge_vec: Tensor, seed: Tensor
    ) -> list[Tensor]:
        edge_vec = edge_vec.detach().requires_grad_(True)
        outputs = model(species, edge_index, edge_vec, seed.shape[0])
        (gradient,) = torch.autograd.grad(
            [outputs["atomic_energy"]], [edge_vec], [seed], allow_unused=True
        )
        if gradient is None:  # energies that do not depend on positions at all
            gradient = torch.zeros_like(edge_vec)
        return [outputs[name].detach() for name in model.outputs] + [gradient]

    arguments = (
        torch.zeros(TRACED_NODES, dtype=torch.int64),
        torch.zeros(2, TRACED_EDGES, dtype=torch.int64),
        torch.ones(TRACED_EDGES, 3, dtype=getattr(torch, model.dtype)),
        torch.ones(TRACED_LOCAL, dtype=torch.float64),
    )
    with _constant_weights(model):
        graph = make_fx(
            energies_and_gradient,
            decomposition_table={
                torch.ops.aten.index_add.default: _index_add,
                torch.ops.aten.index_put.default: _index_put,
            },
            tracing_mode="symbolic",
            _allow_non_fake_inputs=True,
        )(*arguments)
    any_size = torch.export.Dim.DYNAMIC
    return torch.export.export(
        graph,
        arguments,
        dynamic_shapes=({0: any_size}, {1: any_size}, {0: any_size}, {0: any_size}),
    )


@contextlib.contextmanager
def _constant_weights(model: ForceField) -> Iterator[None]:
    """Leave the weights out of the derivative."""
    tracked = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in tracked:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in tracked:
            parameter.requires_grad_(True)


# What adds to places that data choose goes through one operator of our own;
# cpp/ops/nodes/index_sum.cpp says why.


def _index_add(self: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1):
    if alpha != 1:
        return NotImplemented
    dim = dim % self.dim()
    return self + torch.ops.egraff.index_sum(source, dim, index, self.shape[dim])


def _index_put(self: Tensor, indices: list[Tensor | None], values: Tensor, accumulate=False):
    leading = [index for index in indices if index is not None]
    if not accumulate or leading != indices or any(index.dim() != 1 for index in leading):
        return NotImplemented
    # the indexed dimensions as one
    place, size = leading[0], self.shape[0]
    for index, length in zip(leading[1:], self.shape[1 : len(leading)], strict=True):
        place, size = place * length + index, size * length
    rest = self.shape[len(leading) :]
    values = values.expand(place.shape[0], *rest)
    return self + torch.ops.egraff.index_sum(values, 0, place, size).view(self.shape)
