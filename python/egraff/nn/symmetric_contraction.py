# SPDX-License-Identifier: GPL-2.0-or-later
"""The product basis of MACE: equivariant polynomials of each atom's features, channel by channel.

    B_i,LM,c = sum over nu, eta of  W^nu[Z_i, eta, c] ( C^{LM}_{nu, eta} . A_i,c^(x nu) )

(Batatia et al., arXiv:2206.07697, eqs. 10 and 11). It is evaluated as polynomials: the monomials
of A once for all L, then one matrix product with the coefficients for each L and nu, then the
weights of the atom's element. The weights come last, so the work does not grow with the number of
elements.
"""

from __future__ import annotations

import numpy as np
import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.nn.polynomials import polynomial_basis


class SymmetricContraction(nn.Module):
    """Symmetric contraction of the features with themselves.

    Args:
        irreps_in: features, every block with the same multiplicity (the channels).
        irreps_out: result, every block with that multiplicity.
        correlation: highest degree nu.
        n_species: number of elements, each with its own weights; 1 for weights in common.

    Attributes:
        variables: how one channel of the features transforms, each irrep once.
        irreps_out: as given.
    """

    def __init__(
        self, irreps_in: o3.Irreps, irreps_out: o3.Irreps, correlation: int, n_species: int
    ) -> None:
        super().__init__()
        self.channels: int = irreps_in[0].mul
        self.starts: list[int] = [part.start for part in irreps_in.slices()]
        self.dims: list[int] = [block.ir.dim for block in irreps_in]
        variables = o3.Irreps([(1, block.ir) for block in irreps_in])
        self.variables, self.irreps_out = variables, irreps_out
        self.n_variables: int = variables.dim
        self.n_species = n_species

        bases = {
            (block.ir, degree): polynomial_basis(variables, block.ir, degree)
            for block in irreps_out
            for degree in range(1, correlation + 1)
        }
        needed = _needed_monomials(bases, correlation)
        parities = [block.ir.p for block in variables for _ in range(block.ir.dim)]
        ordered: list[list[tuple[int, ...]]] = [[(i,) for i in range(self.n_variables)]]
        steps = []
        for degree in range(2, correlation + 1):
            # one parity after the other, so that each irrep reads one contiguous part
            order = sorted(needed[degree], key=lambda m: (_parity(m, parities), m))
            steps.append(_Step(order, ordered[-1]))
            ordered.append(order)
        self.steps = nn.ModuleList(steps)
        self.blocks = nn.ModuleList(
            [
                _Block(
                    block.ir,
                    [
                        _coefficients(bases[block.ir, degree], ordered[degree - 1])
                        for degree in range(1, correlation + 1)
                    ],
                    self.channels,
                    n_species,
                )
                for block in irreps_out
            ]
        )

    def forward(self, x: Tensor, species: Tensor) -> Tensor:
        """Map features ``[n, irreps_in.dim]`` to ``[n, irreps_out.dim]``.

        Args:
            x: features.
            species: ``[n]`` int64; zeros when weights are in common.
        """
        n = x.shape[0]
        parts: list[Tensor] = []
        for start, dim in zip(self.starts, self.dims):  # noqa: B905 - TorchScript has no strict
            part = x[:, start : start + self.channels * dim]
            parts.append(part.reshape(n, self.channels, dim))
        # variables first: each monomial is then one contiguous row
        variables = torch.cat(parts, dim=2).permute(2, 0, 1)
        variables = variables.reshape(self.n_variables, n * self.channels)
        monomials = [variables]
        for step in self.steps:
            monomials.append(step(monomials[-1], variables))
        results: list[Tensor] = []
        for block in self.blocks:
            results.append(block(monomials, species))
        return torch.cat(results, dim=1)


class _Step(nn.Module):
    """Monomials of one degree from those of one degree less."""

    def __init__(self, monomials: list[tuple[int, ...]], lower: list[tuple[int, ...]]) -> None:
        super().__init__()
        position = {monomial: i for i, monomial in enumerate(lower)}
        left = torch.tensor([position[monomial[:-1]] for monomial in monomials], dtype=torch.int64)
        right = torch.tensor([monomial[-1] for monomial in monomials], dtype=torch.int64)
        self.register_buffer("left", left, False)
        self.register_buffer("right", right, False)

    def forward(self, lower: Tensor, variables: Tensor) -> Tensor:
        return lower.index_select(0, self.left) * variables.index_select(0, self.right)


class _Block(nn.Module):
    """All degrees of one output irrep; degrees without a polynomial are left out."""

    def __init__(
        self,
        irrep: o3.Irrep,
        coefficients: list[tuple[np.ndarray, int]],
        channels: int,
        n_species: int,
    ) -> None:
        super().__init__()
        self.dim: int = irrep.dim
        self.channels = channels
        self.degrees = nn.ModuleList(
            [
                _Degree(degree, matrix, start, channels, n_species)
                for degree, (matrix, start) in enumerate(coefficients, start=1)
                if matrix.shape[0]
            ]
        )

    def forward(self, monomials: list[Tensor], species: Tensor) -> Tensor:
        n = species.shape[0]
        total = torch.zeros(
            self.dim, n, self.channels, dtype=monomials[0].dtype, device=monomials[0].device
        )
        for degree in self.degrees:
            total = total + degree(monomials, species)
        return total.permute(1, 2, 0).reshape(n, self.channels * self.dim)


class _Degree(nn.Module):
    """The polynomials of one degree that transform like one irrep, weighted and summed."""

    def __init__(
        self, degree: int, matrix: np.ndarray, start: int, channels: int, n_species: int
    ) -> None:
        super().__init__()
        self.index: int = degree - 1
        self.start = start
        self.n_paths, self.dim, self.n_monomials = matrix.shape
        self.channels = channels
        rows = matrix.transpose(1, 0, 2).reshape(self.dim * self.n_paths, self.n_monomials)
        # derived from the irreps alone: not part of a checkpoint, so never rounded by one
        self.register_buffer("rows", torch.from_numpy(rows).to(torch.get_default_dtype()), False)
        self.weight = nn.Parameter(torch.randn(self.n_paths, n_species, channels) / self.n_paths)

    def forward(self, monomials: list[Tensor], species: Tensor) -> Tensor:
        n = species.shape[0]
        part = monomials[self.index].narrow(0, self.start, self.n_monomials)
        values = torch.mm(self.rows, part).view(self.dim, self.n_paths, n, self.channels)
        return (values * self.weight.index_select(1, species)).sum(dim=1)


def _needed_monomials(bases, correlation: int) -> dict[int, set[tuple[int, ...]]]:
    """Return which monomials occur at each degree, with those that the next degree starts from."""
    needed: dict[int, set[tuple[int, ...]]] = {degree: set() for degree in range(correlation + 1)}
    for degree in range(correlation, 0, -1):
        for (_, of_degree), basis in bases.items():
            if of_degree == degree and len(basis):
                occurs = np.abs(basis.coefficients).max(axis=(0, 1)) > 1e-12
                needed[degree].update(
                    m for m, yes in zip(basis.monomials, occurs, strict=True) if yes
                )
        needed[degree - 1].update(monomial[:-1] for monomial in needed[degree])
    return needed


def _parity(monomial: tuple[int, ...], parities: list[int]) -> int:
    return int(np.prod([parities[i] for i in monomial]))


def _coefficients(basis, ordered: list[tuple[int, ...]]) -> tuple[np.ndarray, int]:
    """Return the coefficients of the monomials that occur, and where those begin in ``ordered``."""
    if not len(basis):
        return np.zeros((0, basis.coefficients.shape[1], 0)), 0
    column = {monomial: i for i, monomial in enumerate(basis.monomials)}
    dense = basis.coefficients[:, :, [column[monomial] for monomial in ordered]]
    occurs = np.flatnonzero(np.abs(dense).max(axis=(0, 1)) > 1e-12)
    first, last = int(occurs[0]), int(occurs[-1])
    return dense[:, :, first : last + 1], first
