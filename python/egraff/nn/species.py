# SPDX-License-Identifier: GPL-2.0-or-later
"""What depends on the chemical element: linear maps, norms of sums, energy scale and shift."""

from __future__ import annotations

import math

import torch
from e3nn import o3
from torch import Tensor, nn


class NeighbourNorm(nn.Module):
    """Features divided by the square root of a mean number of neighbours, of all or of the element.

    Args:
        counts: one mean number of neighbours, or one for each element.
    """

    def __init__(self, counts: list[float]) -> None:
        super().__init__()
        factors = [1.0 / math.sqrt(count) for count in counts]
        self.same: bool = len(factors) == 1
        self.factor: float = factors[0]
        # derived from the options: not part of a checkpoint
        self.register_buffer("factors", torch.tensor(factors), False)

    def forward(self, x: Tensor, species: Tensor) -> Tensor:
        """Map ``[n, ...]`` to the same shape; species is ``[n]`` int64."""
        if self.same:
            return x if self.factor == 1.0 else x * self.factor
        shape = [x.shape[0]] + [1] * (x.dim() - 1)
        return x * self.factors.index_select(0, species).view(shape)


class SpeciesLinear(nn.Module):
    """Equivariant linear map with its own weights for every element.

    Equal to a fully connected tensor product with the one-hot element (the self-connection of
    NequIP, arXiv:2101.03164; the skip connection of MACE, arXiv:2206.07697).

    Args:
        irreps_in: irreps of the input, each irrep in one block.
        irreps_out: irreps of the output, each irrep in one block; an irrep that the input lacks
            stays zero.
        n_species: number of elements.
    """

    def __init__(self, irreps_in: o3.Irreps, irreps_out: o3.Irreps, n_species: int) -> None:
        super().__init__()
        self.irreps_in = irreps_in
        self.irreps_out = irreps_out
        self.n_species = n_species
        blocks = []
        for block_out in irreps_out:
            sources = [
                (block, part.start)
                for block, part in zip(irreps_in, irreps_in.slices(), strict=True)
                if block.ir == block_out.ir
            ]
            mul_in, start = (sources[0][0].mul, sources[0][1]) if sources else (0, 0)
            blocks.append(_SpeciesBlock(mul_in, block_out.mul, block_out.ir.dim, start, n_species))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, species: Tensor) -> Tensor:
        """Map ``[n, irreps_in.dim]`` to ``[n, irreps_out.dim]``; species is ``[n]`` int64."""
        parts: list[Tensor] = []
        for block in self.blocks:
            parts.append(block(x, species))
        return torch.cat(parts, dim=1)


class _SpeciesBlock(nn.Module):
    """The block ``mul_in x ir -> mul_out x ir`` of a :class:`SpeciesLinear`."""

    def __init__(self, mul_in: int, mul_out: int, dim: int, start: int, n_species: int) -> None:
        super().__init__()
        self.mul_in = mul_in
        self.mul_out = mul_out
        self.dim = dim
        self.start = start
        self.scale = 1.0 / math.sqrt(max(mul_in, 1))
        self.weight = nn.Parameter(torch.randn(n_species, mul_in, mul_out))

    def forward(self, x: Tensor, species: Tensor) -> Tensor:
        n = x.shape[0]
        if self.mul_in == 0:
            return torch.zeros(n, self.mul_out * self.dim, dtype=x.dtype, device=x.device)
        block = x[:, self.start : self.start + self.mul_in * self.dim]
        block = block.reshape(n, self.mul_in, self.dim)
        # every element's map for every atom, then a choice: cheap for the few elements of a
        # typical model, and no sorting, no loop, no shape that depends on the data
        every = torch.einsum("nud,suw->snwd", block, self.weight * self.scale)
        chosen = every[species, torch.arange(n, device=x.device)]
        return chosen.reshape(n, self.mul_out * self.dim)


class CommonLinear(nn.Module):
    """Equivariant linear map with the same weights for all elements, called as a `SpeciesLinear`.

    Args:
        irreps_in: irreps of the input.
        irreps_out: irreps of the output; an irrep that the input lacks stays zero.
    """

    def __init__(self, irreps_in: o3.Irreps, irreps_out: o3.Irreps) -> None:
        super().__init__()
        self.linear = o3.Linear(irreps_in, irreps_out)

    def forward(self, x: Tensor, species: Tensor) -> Tensor:
        """Map ``[n, irreps_in.dim]`` to ``[n, irreps_out.dim]``; species is not read."""
        return self.linear(x)


class EnergyScaleShift(nn.Module):
    """Atomic energy E_i = shift[Z_i] + scale[Z_i] x_i, in float64 whatever the model's dtype.

    Total energies of heavy elements reach thousands of eV per atom, where float32 resolves no
    better than 1e-4 eV; adding the reference energies in float64 keeps the model's precision.

    Args:
        scale: ``[n_species]`` in eV, for example the root mean square force of the training set.
        shift: ``[n_species]`` in eV, the energy of the isolated atom or a least-squares reference.
        scale_trainable: learn the scales.
        shift_trainable: learn the shifts.
    """

    def __init__(
        self,
        scale: list[float],
        shift: list[float],
        *,
        scale_trainable: bool = False,
        shift_trainable: bool = False,
    ) -> None:
        super().__init__()
        self.scale = nn.Parameter(
            torch.tensor(scale, dtype=torch.float64), requires_grad=scale_trainable
        )
        self.shift = nn.Parameter(
            torch.tensor(shift, dtype=torch.float64), requires_grad=shift_trainable
        )

    def forward(self, x: Tensor, species: Tensor) -> Tensor:
        """Map network outputs ``[n]`` to atomic energies ``[n]`` in eV, float64."""
        scale = self.scale.index_select(0, species)
        return self.shift.index_select(0, species) + scale * x.to(torch.float64)
