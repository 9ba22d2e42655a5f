# SPDX-License-Identifier: GPL-2.0-or-later
"""Equivariant counterparts of a transformer's blocks: linear map, norm, gate, depth-wise product.

Y.-L. Liao, T. Smidt, ICLR 2023, arXiv:2206.11990, section 3 and appendix C. Features are rows of
e3nn irreps, one block for each irrep, even before odd for each l.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from e3nn import o3
from e3nn.math import normalize2mom
from torch import Tensor, nn

from egraff.nn.convolution import block_products, paths_of


def sort_even_first(irreps: o3.Irreps) -> tuple[o3.Irreps, list[int]]:
    """Sort blocks by l, even before odd.

    Returns:
        The sorted irreps, and which block of the input stands at each place of the output.
    """
    order = sorted(range(len(irreps)), key=lambda n: (irreps[n].ir.l, -irreps[n].ir.p, n))
    return o3.Irreps([irreps[n] for n in order]), order


class EquivariantLinear(nn.Module):
    """Linear map between channels of the same irrep, with a bias on even scalars.

    Divides by the square root of the number of channels that it sums, as e3nn's ``Linear`` does,
    which computes the same.

    Args:
        irreps_in: irreps of the input, each irrep in one block.
        irreps_out: irreps of the output, each irrep in one block; an irrep that the input lacks
            stays zero.
        bias: add a bias, zero at first.

    Attributes:
        paths: for each output block the first column of its input, channels in, channels out,
            dimension of the irrep, and where its weights start.
    """

    def __init__(self, irreps_in: o3.Irreps, irreps_out: o3.Irreps, *, bias: bool = True) -> None:
        super().__init__()
        self.irreps_in = irreps_in
        self.irreps_out = irreps_out
        sources = {
            block.ir: (part.start, block.mul)
            for block, part in zip(irreps_in, irreps_in.slices(), strict=True)
        }
        self.paths: list[tuple[int, int, int, int, int]] = []
        n_weights = 0
        for block in irreps_out:
            start, mul_in = sources.get(block.ir, (0, 0))
            self.paths.append((start, mul_in, block.mul, block.ir.dim, n_weights))
            n_weights += mul_in * block.mul
        self.n_scalars: int = irreps_out[0].mul if irreps_out[0].ir == o3.Irrep("0e") else 0
        self.weight = nn.Parameter(torch.randn(n_weights))
        self.bias = nn.Parameter(torch.zeros(self.n_scalars)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps_in.dim]`` to ``[n, irreps_out.dim]``."""
        n = x.shape[0]
        parts: list[Tensor] = []
        for start, mul_in, mul_out, dim, first in self.paths:
            if mul_in == 0:
                parts.append(torch.zeros(n, mul_out * dim, dtype=x.dtype, device=x.device))
            else:
                matrix = self.weight[first : first + mul_in * mul_out].view(mul_in, mul_out)
                matrix = matrix * (1.0 / math.sqrt(mul_in))
                block = x[:, start : start + mul_in * dim]
                if dim == 1:
                    # the general case without its transpositions: a tenth of a training step
                    parts.append(torch.mm(block, matrix))
                    continue
                block = block.reshape(n, mul_in, dim).transpose(1, 2).reshape(n * dim, mul_in)
                block = torch.mm(block, matrix).view(n, dim, mul_out).transpose(1, 2)
                parts.append(block.reshape(n, mul_out * dim))
        if self.bias is not None:
            parts[0] = parts[0] + self.bias
        return torch.cat(parts, dim=1)

    @torch.jit.ignore
    def matrices(self) -> list[Tensor]:
        """Return the matrix of each output block, ``[mul_in, mul_out]``, as it is multiplied."""
        return [
            self.weight.detach()[first : first + mul_in * mul_out].view(mul_in, mul_out)
            / math.sqrt(max(mul_in, 1))
            for _, mul_in, mul_out, _, first in self.paths
        ]


class UnitVariance(nn.Module):
    """An activation scaled so that a standard normal input keeps second moment one.

    Args:
        act: the activation.
    """

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.act = act
        self.scale = float(normalize2mom(act).cst)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to every element."""
        return self.act(x) * self.scale


class SmoothLeakyReLU(nn.Module):
    """x (1 + a)/2 + x (1 - a)/2 tanh(x / 2), a leaky ReLU of slope a without its kink."""

    def __init__(self, negative_slope: float = 0.2) -> None:
        super().__init__()
        self.slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Apply to every element."""
        return 0.5 * x * (1.0 + self.slope + (1.0 - self.slope) * torch.tanh(0.5 * x))


class EquivariantLayerNorm(nn.Module):
    """Normalise each atom's features, one block of irreps at a time (eq. 7).

    Even scalars lose their mean and get a bias; every block is divided by the root mean square of
    its components and scaled channel by channel. Atoms do not see each other.

    Args:
        irreps: irreps of the features.
        eps: added to the mean square, so that zero features stay zero.
    """

    def __init__(self, irreps: o3.Irreps, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.blocks: list[tuple[int, int, int, bool]] = [
            (part.start, block.mul, block.ir.dim, block.ir == o3.Irrep("0e"))
            for block, part in zip(irreps, irreps.slices(), strict=True)
        ]
        self.weight = nn.Parameter(torch.ones(irreps.num_irreps))
        self.bias = nn.Parameter(torch.zeros(irreps.count("0e")))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps.dim]`` to the same shape."""
        n = x.shape[0]
        first_weight, first_bias = 0, 0
        parts: list[Tensor] = []
        for start, mul, dim, scalar in self.blocks:
            block = x[:, start : start + mul * dim].reshape(n, mul, dim)
            if scalar:
                block = block - block.mean(dim=1, keepdim=True)
            square = block.square().mean(dim=2).mean(dim=1, keepdim=True)
            scale = torch.rsqrt(square + self.eps) * self.weight[first_weight : first_weight + mul]
            block = block * scale[:, :, None]
            if scalar:
                block = block + self.bias[first_bias : first_bias + mul, None]
                first_bias += mul
            first_weight += mul
            parts.append(block.reshape(n, mul * dim))
        return torch.cat(parts, dim=1)


class SwishGate(nn.Module):
    """SiLU on even scalars; everything else times the sigmoid of a scalar of its own.

    Args:
        irreps_out: irreps that come out, even scalars first.

    Attributes:
        irreps_in: even scalars and gates in one block, then the rest.
    """

    def __init__(self, irreps_out: o3.Irreps) -> None:
        super().__init__()
        gated = o3.Irreps([block for block in irreps_out if block.ir != o3.Irrep("0e")])
        self.n_scalars: int = irreps_out.count("0e")
        self.n_gates: int = gated.num_irreps
        self.irreps_in = (o3.Irreps([(self.n_scalars + self.n_gates, "0e")]) + gated).simplify()
        self.irreps_out = irreps_out
        component_gate = [
            gate
            for gate, dim in enumerate(block.ir.dim for block in gated for _ in range(block.mul))
            for _ in range(dim)
        ]
        index = torch.tensor(component_gate, dtype=torch.int64)
        self.register_buffer("component_gate", index, False)
        self.act = UnitVariance(nn.SiLU())
        self.gate_act = UnitVariance(nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps_in.dim]`` to ``[n, irreps_out.dim]``."""
        scalars = self.act(x[:, : self.n_scalars])
        if self.n_gates == 0:
            return scalars
        last_gate = self.n_scalars + self.n_gates
        gates = self.gate_act(x[:, self.n_scalars : last_gate])
        gated = x[:, last_gate:] * gates.index_select(1, self.component_gate)
        return torch.cat([scalars, gated], dim=1)


class DepthwiseProduct(nn.Module):
    """Product of an edge's features with its harmonics, each channel by itself (section 3.3).

    Args:
        irreps_in: irreps of the features.
        irreps_sh: irreps of the harmonics, multiplicity one each.
        irreps_keep: only paths into irreps that occur here, and into 0e, are made.

    Attributes:
        irreps_out: irreps of the product, blocks of the same irrep merged.
        n_weights: weights per edge: paths in the order (block of ``irreps_in``, harmonic, output
            irrep), channels innermost.
    """

    def __init__(self, irreps_in: o3.Irreps, irreps_sh: o3.Irreps, irreps_keep: o3.Irreps) -> None:
        super().__init__()
        keep = irreps_keep + o3.Irreps("0e")
        self.products = block_products(irreps_in, irreps_sh, keep)
        self.n_weights: int = sum(product.n_weights for product in self.products)
        irreps_out, order = sort_even_first(paths_of(self.products))
        self.order: list[int] = order
        self.irreps_out = irreps_out.simplify()

    def forward(self, x: Tensor, sh: Tensor, weights: Tensor) -> Tensor:
        """Multiply.

        Args:
            x: ``[n_edges, irreps_in.dim]``.
            sh: ``[n_edges, irreps_sh.dim]``.
            weights: ``[n_edges, n_weights]``, or one row for all edges.

        Returns:
            ``[n_edges, irreps_out.dim]``.
        """
        n_edges = x.shape[0]
        parts: list[Tensor] = []
        for product in self.products:
            messages = product(x[:, product.start : product.stop], sh, weights)
            for part in messages.split_with_sizes(product.dims_out, dim=2):
                parts.append(part.reshape(n_edges, product.mul * part.shape[2]))
        return torch.cat([parts[n] for n in self.order], dim=1)


class DistanceNetwork(nn.Module):
    """Perceptron from radial basis values to product weights, layer norm and SiLU inside.

    Args:
        widths: input width, hidden widths, output width.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths[:-1]):
            hidden = nn.Linear(n_in, n_out)
            nn.init.zeros_(hidden.bias)
            layers += [hidden, nn.LayerNorm(n_out), nn.SiLU()]
        self.hidden = nn.Sequential(*layers)
        # the output's bias is drawn at random, so that the weights do not vanish at some distance
        self.output = nn.Linear(widths[-2], widths[-1])

    def forward(self, radial: Tensor) -> Tensor:
        """Map ``[n_edges, widths[0]]`` to ``[n_edges, widths[-1]]``."""
        return self.output(self.hidden(radial))


class FeedForward(nn.Module):
    """Linear map, gate, linear map, on each atom.

    Args:
        irreps_in: irreps in.
        irreps_hidden: irreps between the maps.
        irreps_out: irreps out.
    """

    def __init__(
        self, irreps_in: o3.Irreps, irreps_hidden: o3.Irreps, irreps_out: o3.Irreps
    ) -> None:
        super().__init__()
        self.gate = SwishGate(irreps_hidden)
        self.first = EquivariantLinear(irreps_in, self.gate.irreps_in)
        self.second = EquivariantLinear(irreps_hidden, irreps_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps_in.dim]`` to ``[n, irreps_out.dim]``."""
        return self.second(self.gate(self.first(x)))
