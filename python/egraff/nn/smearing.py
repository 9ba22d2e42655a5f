# SPDX-License-Identifier: GPL-2.0-or-later
"""Radial bases of the transformer architectures: bumps centred along the distance axis.

Distances are given scaled, x = r / r_max, so that a pair with its own shorter cutoff sees the same
basis squeezed into its range.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class CosineCutoff(nn.Module):
    """Envelope (cos(pi x) + 1) / 2 inside x < 1 and 0 beyond: value and slope vanish at x = 1.

    Behler & Parrinello, Phys. Rev. Lett. 98, 146401 (2007). With a lower end it is a bump,
    (1 - cos(2 pi (x - lower) / (1 - lower))) / 2, whose value and slope vanish at both ends and
    which is 0 outside (torchmd-net's ``cutoff_lower``).

    Args:
        lower: lower end as a share of r_max; zero for none.
    """

    def __init__(self, lower: float = 0.0) -> None:
        super().__init__()
        self.lower = lower

    def forward(self, x: Tensor) -> Tensor:
        """Map scaled distances of any shape to the envelope, same shape."""
        inside = x < 1.0
        if self.lower == 0.0:
            return 0.5 * (torch.cos(math.pi * x) + 1.0) * inside.to(x.dtype)
        phase = 2.0 * math.pi * (x - self.lower) / (1.0 - self.lower)
        inside = inside & (x > self.lower)
        return 0.5 * (1.0 - torch.cos(phase)) * inside.to(x.dtype)


class ExpNormalBasis(nn.Module):
    """Gaussians in exp(-5 x) under a cosine envelope, denser at short distance.

    e_k(x) = C(x) exp(-beta_k (exp(-5 x) - mu_k)^2), with mu_k evenly spaced from exp(-r_max) to 1
    (Unke & Meuwly, J. Chem. Theory Comput. 15, 3678 (2019), eq. 8; r_max in Angstrom as there).
    With a lower end the exponential starts there: exp(-5 (x - lower) / (1 - lower)), and the
    first centre is exp(lower - r_max), both ends in Angstrom.

    Args:
        n_basis: number of functions.
        r_max: cutoff in Angstrom.
        r_min: where the exponential is one, in Angstrom.
        trainable: learn the centres mu_k and widths beta_k.
    """

    def __init__(
        self, n_basis: int, r_max: float, *, r_min: float = 0.0, trainable: bool = False
    ) -> None:
        super().__init__()
        self.n_basis = n_basis
        self.envelope = CosineCutoff()
        self.lower = r_min / r_max
        self.decay = 5.0 / (1.0 - self.lower)
        first = math.exp(r_min - r_max)
        dtype = torch.get_default_dtype()
        centres = torch.linspace(first, 1.0, n_basis, dtype=dtype)
        widths = torch.full((n_basis,), (2.0 / n_basis * (1.0 - first)) ** -2, dtype=dtype)
        # in the checkpoint even when fixed: converted models keep their own rounding of them
        self.centres = nn.Parameter(centres, requires_grad=trainable)
        self.widths = nn.Parameter(widths, requires_grad=trainable)

    def forward(self, x: Tensor) -> Tensor:
        """Map scaled distances ``[n]`` to ``[n, n_basis]``."""
        x = x[:, None]
        offset = torch.exp(-self.decay * (x - self.lower)) - self.centres
        return self.envelope(x) * torch.exp(-self.widths * offset * offset)


class GaussianBasis(nn.Module):
    """Gaussians evenly spaced up to r_max, one spacing wide: e_k(r) = exp(c (r - mu_k)^2).

    They do not vanish at the cutoff: what is built on them needs an envelope of its own.

    Args:
        n_basis: number of functions, at least 2.
        r_max: cutoff in Angstrom.
        r_min: position of the first one, in Angstrom.
        trainable: learn the centres mu_k and the coefficient c = -1 / (2 spacing^2).
    """

    def __init__(
        self, n_basis: int, r_max: float, *, r_min: float = 0.0, trainable: bool = False
    ) -> None:
        super().__init__()
        self.n_basis = n_basis
        self.r_max = r_max
        centres = torch.linspace(r_min, r_max, n_basis, dtype=torch.get_default_dtype())
        coefficient = -0.5 / (centres[1] - centres[0]) ** 2
        self.centres = nn.Parameter(centres, requires_grad=trainable)
        self.coefficient = nn.Parameter(coefficient, requires_grad=trainable)

    def forward(self, x: Tensor) -> Tensor:
        """Map scaled distances ``[n]`` to ``[n, n_basis]``."""
        offset = x[:, None] * self.r_max - self.centres
        return torch.exp(self.coefficient * offset * offset)


class LearnedGaussianBasis(nn.Module):
    """Normalised Gaussians of x = r / r_max with learnt centres and widths, drawn at random.

    They do not vanish at the cutoff (Ying et al., arXiv:2106.05234, section 3.1).

    Args:
        n_basis: number of functions.
    """

    def __init__(self, n_basis: int) -> None:
        super().__init__()
        self.n_basis = n_basis
        dtype = torch.get_default_dtype()
        self.centres = nn.Parameter(torch.rand(n_basis, dtype=dtype))
        self.widths = nn.Parameter(torch.empty(n_basis, dtype=dtype).uniform_(1.0 / n_basis, 1.0))
        self.slope = nn.Parameter(torch.ones((), dtype=dtype))
        self.offset = nn.Parameter(torch.zeros((), dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Map scaled distances ``[n]`` to ``[n, n_basis]``."""
        width = self.widths.abs() + 1e-5
        distance = (self.slope * x[:, None] + self.offset - self.centres) / width
        return torch.exp(-0.5 * distance * distance) / (math.sqrt(2.0 * math.pi) * width)
