# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of the edge length: radial bases, cutoff envelopes, and the networks on top of them.

Models evaluate bases and envelopes in float64 and round what comes out to their own type. An
envelope is a small difference of large terms near the cutoff: in float32 it was the largest error
of whole models, and of the virials of an Equiformer nine times all others together.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from egraff.nn.activations import ActivationName, activation


def edge_lengths(edge_vec: Tensor) -> Tensor:
    """Return the lengths ``[n_edges]`` of ``[n_edges, 3]`` in float64, whatever their type."""
    return torch.linalg.vector_norm(edge_vec.to(torch.float64), dim=1)


class PolynomialCutoff(nn.Module):
    """Smooth envelope that is 1 at x = 0 and 0, with two vanishing derivatives, at x = 1.

    u(x) = 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2), and 0 beyond x = 1
    (Gasteiger et al., arXiv:2003.03123, eq. 8).

    Args:
        p: exponent, at least 2; smaller decays earlier.
    """

    def __init__(self, p: float = 6.0) -> None:
        super().__init__()
        self.p = float(p)

    def forward(self, x: Tensor) -> Tensor:
        """Map scaled distances x = r / r_max of any shape to the envelope, same shape."""
        p = self.p
        power = x**p
        u = 1.0 - power * (
            (p + 1.0) * (p + 2.0) / 2.0 - p * (p + 2.0) * x + p * (p + 1.0) / 2.0 * x * x
        )
        return u * (x < 1.0).to(x.dtype)


class XplorCutoff(nn.Module):
    """Envelope that is 1 up to an onset and falls to 0, with its derivative, at x = 1.

    u(x) = (1 - x^2)^2 (1 + 2 x^2 - 3 x_on^2) / (1 - x_on^2)^3 from x_on on, the switching function
    of X-PLOR (A. T. Bruenger, X-PLOR manual, Yale 1992). Its second derivative jumps at the onset
    and at x = 1: forces are continuous, their derivatives are not.

    Args:
        onset: x_on, between 0 and 1.
    """

    def __init__(self, onset: float) -> None:
        super().__init__()
        self.onset = float(onset)

    def forward(self, x: Tensor) -> Tensor:
        """Map scaled distances x = r / r_max of any shape to the envelope, same shape."""
        square, start = x * x, self.onset**2
        falling = (1.0 - square) ** 2 * (1.0 + 2.0 * square - 3.0 * start) / (1.0 - start) ** 3
        return torch.where(x < self.onset, torch.ones_like(x), falling) * (x < 1.0).to(x.dtype)


class BesselBasis(nn.Module):
    """Radial Bessel functions b_n(r) = (2 / r_max) sin(n pi x) / (x r_max), x = r / r_max.

    Gasteiger et al., arXiv:2003.03123, eq. 7 without the square root, as NequIP uses it
    (Batzner et al., arXiv:2101.03164, eq. 8).

    Args:
        n_basis: number of functions.
        r_max: cutoff in Angstrom.
        trainable: learn the roots n, which start at 1, 2, ...
    """

    def __init__(self, n_basis: int, r_max: float, *, trainable: bool = False) -> None:
        super().__init__()
        self.n_basis = n_basis
        self.prefactor = 2.0 * math.pi / r_max**2
        roots = torch.arange(1, n_basis + 1, dtype=torch.get_default_dtype())
        if trainable:
            self.roots = nn.Parameter(roots)
        else:
            self.register_buffer("roots", roots)

    def forward(self, x: Tensor) -> Tensor:
        """Map scaled distances ``[n_edges]`` to ``[n_edges, n_basis]`` in 1/Angstrom^2."""
        # sinc is finite, with finite derivatives, at x = 0
        return self.prefactor * self.roots * torch.sinc(x[:, None] * self.roots)


class GaussianBasis(nn.Module):
    """Gaussians exp(-(d - c_n)^2 / (2 w^2)) at n equal steps w from 0 to ``end``.

    Args:
        n_basis: number of functions, at least 2.
        end: position of the last one, in the unit of the distances.
    """

    def __init__(self, n_basis: int, end: float) -> None:
        super().__init__()
        self.n_basis = n_basis
        self.register_buffer("centres", torch.linspace(0.0, end, n_basis))
        self.coefficient = -0.5 / (end / (n_basis - 1)) ** 2

    def forward(self, d: Tensor) -> Tensor:
        """Map distances ``[n_edges]`` to ``[n_edges, n_basis]``."""
        return torch.exp(self.coefficient * (d[:, None] - self.centres) ** 2)


class ChebyshevBasis(nn.Module):
    """Chebyshev polynomials T_1 ... T_n of a distance that a transform has mapped to (0, 1).

    Args:
        n_basis: number of polynomials.
    """

    def __init__(self, n_basis: int) -> None:
        super().__init__()
        self.n_basis = n_basis

    def forward(self, d: Tensor) -> Tensor:
        """Map transformed distances ``[n_edges]`` to ``[n_edges, n_basis]``."""
        before, last = torch.ones_like(d), d
        values = [last]
        for _ in range(self.n_basis - 1):
            before, last = last, 2.0 * d * last - before
            values.append(last)
        return torch.stack(values, dim=1)


class RadialNetwork(nn.Module):
    """Perceptron without biases from radial basis values to weights.

    Each layer divides by the square root of its input width, and layers after a nonlinearity
    multiply by sqrt(2), which keeps unit variance through the network. No biases: where the
    envelope is zero, so is the output.

    Args:
        widths: input width, hidden widths, output width.
        nonlinearity: activation between the layers, zero at zero; None for none at all.
    """

    def __init__(self, widths: list[int], *, nonlinearity: ActivationName | None = "silu") -> None:
        super().__init__()
        self.act = nn.Identity() if nonlinearity is None else activation(nonlinearity)
        gain = 1.0 if nonlinearity is None else math.sqrt(2.0)
        self.weights = nn.ParameterList()
        scales: list[float] = []
        for layer, (n_in, n_out) in enumerate(pairwise(widths)):
            weight = torch.empty(n_in, n_out)
            nn.init.uniform_(weight, -math.sqrt(3.0), math.sqrt(3.0))
            self.weights.append(nn.Parameter(weight))
            scales.append((1.0 if layer == 0 else gain) / math.sqrt(n_in))
        self.scales = scales

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, widths[0]]`` to ``[n, widths[-1]]``."""
        for layer, weight in enumerate(self.weights):
            if layer > 0:
                x = self.act(x)
            x = torch.mm(x, weight * self.scales[layer])
        return x
