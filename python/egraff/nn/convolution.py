# SPDX-License-Identifier: GPL-2.0-or-later
"""The edge convolution that NequIP, MACE and BOTNet share.

    A_i = sum over edges (i, j) of  R(r_ij) . ( h_j (x) Y(r_ij) )

h_j are the neighbour's features, Y real spherical harmonics, (x) the Clebsch-Gordan product channel
by channel ("uvu"), and R one weight per edge, path and channel (Thomas et al., arXiv:1802.08219;
Batzner et al., arXiv:2101.03164, eq. 5). This is the plain form, used to train and to check; an
exported model may carry a fused form that never stores an edge's message.
"""

from __future__ import annotations

import math

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.nn.edges import Edges, sum_at_centres


class EdgeConvolution(nn.Module):
    """Clebsch-Gordan product of neighbour features with spherical harmonics, summed over edges.

    Args:
        irreps_in: irreps of the node features.
        irreps_sh: irreps of the spherical harmonics, multiplicity one each.
        irreps_keep: only paths into irreps that occur here are made.

    Attributes:
        irreps_out: irreps of the sum, one block for each path, sorted by irrep.
        n_weights: weights per edge: paths in the order (block of ``irreps_in``, harmonic, output
            irrep), channels innermost.
    """

    def __init__(self, irreps_in: o3.Irreps, irreps_sh: o3.Irreps, irreps_keep: o3.Irreps) -> None:
        super().__init__()
        self.products = block_products(irreps_in, irreps_sh, irreps_keep)
        self.n_weights: int = sum(product.n_weights for product in self.products)
        sorted_irreps = paths_of(self.products).sort()
        self.irreps_out = sorted_irreps.irreps
        self.order: list[int] = [int(i) for i in sorted_irreps.inv]

    def forward(self, x: Tensor, edges: Edges, weights: Tensor) -> Tensor:
        """Sum the messages of all edges.

        Args:
            x: ``[n_nodes, irreps_in.dim]``.
            edges: those of the graph.
            weights: ``[n_edges, n_weights]``.

        Returns:
            ``[n_local, irreps_out.dim]``.
        """
        n_local = edges.n_local
        sums: list[Tensor] = []
        for product in self.products:
            features = x[:, product.start : product.stop].index_select(0, edges.index[1])
            messages = product(features, edges.harmonics, weights)
            total = sum_at_centres(messages, edges.index[0], n_local)
            for part in total.split_with_sizes(product.dims_out, dim=2):
                sums.append(part.reshape(n_local, product.mul * part.shape[2]))
        return torch.cat([sums[i] for i in self.order], dim=1)


def block_products(
    irreps_in: o3.Irreps, irreps_sh: o3.Irreps, irreps_keep: o3.Irreps
) -> nn.ModuleList:
    """Return a :class:`BlockProduct` for each block of the features that has paths."""
    products = nn.ModuleList()
    n_weights = 0
    for block, part in zip(irreps_in, irreps_in.slices(), strict=True):
        product = BlockProduct(block, part.start, irreps_sh, irreps_keep, n_weights)
        if product.irreps_out:
            products.append(product)
            n_weights += product.n_weights
    return products


def paths_of(products: nn.ModuleList) -> o3.Irreps:
    """Return what block products make, one block for each path, in the order of the weights."""
    return o3.Irreps([(product.mul, ir) for product in products for ir in product.irreps_out])


class BlockProduct(nn.Module):
    """All paths that start from one block ``mul x ir`` of the features.

    The harmonics are contracted with the Clebsch-Gordan coefficients of all paths at once, which
    leaves one small matrix per edge; a batched product with it does every path of the block.

    Args:
        block: multiplicity and irrep.
        start: column at which the block starts.
        irreps_sh: irreps of the harmonics.
        irreps_keep: only paths into irreps that occur here are made.
        first_weight: column at which the block's weights start.
    """

    def __init__(
        self,
        block: o3._irreps._MulIr,
        start: int,
        irreps_sh: o3.Irreps,
        irreps_keep: o3.Irreps,
        first_weight: int,
    ) -> None:
        super().__init__()
        coupling = []
        irreps_out = []
        for (_, ir_sh), slice_sh in zip(irreps_sh, irreps_sh.slices(), strict=True):
            for ir_out in block.ir * ir_sh:
                if ir_out in irreps_keep:
                    # sqrt(2l+1): unit-variance components in give unit-variance components out
                    cg = o3.wigner_3j(block.ir.l, ir_sh.l, ir_out.l) * math.sqrt(ir_out.dim)
                    rows = torch.zeros(irreps_sh.dim, block.ir.dim, ir_out.dim)
                    rows[slice_sh] = cg.transpose(0, 1).to(rows.dtype)
                    coupling.append(rows)
                    irreps_out.append(ir_out)
        self.irreps_out = irreps_out
        self.mul: int = block.mul
        self.dim_in: int = block.ir.dim
        self.dims_out: list[int] = [ir.dim for ir in irreps_out]
        self.dim_out: int = sum(self.dims_out)
        self.start = start
        self.stop: int = start + block.dim
        self.first_weight = first_weight
        self.n_weights: int = self.mul * len(irreps_out)
        self.n_paths: int = len(irreps_out)
        if irreps_out:
            # derived from l alone: not part of a checkpoint, so never rounded by one
            self.register_buffer("coupling", torch.cat(coupling, dim=2).flatten(1), False)
            component_path = torch.repeat_interleave(
                torch.arange(self.n_paths), torch.tensor(self.dims_out)
            )
            self.register_buffer("component_path", component_path, False)

    def forward(self, features: Tensor, sh: Tensor, weights: Tensor) -> Tensor:
        """Make the messages of one block.

        Args:
            features: ``[n_edges, mul * dim_in]``, the block's columns alone.
            sh: ``[n_edges, irreps_sh.dim]``.
            weights: ``[n_edges, n_weights of all blocks]``, or one row for all edges.

        Returns:
            ``[n_edges, mul, dim_out]``, the components of all paths side by side.
        """
        n_edges = features.shape[0]
        # sizes are spelled out: an inferred -1 fails on an MPI rank without edges
        features = features.view(n_edges, self.mul, self.dim_in)
        matrix = torch.mm(sh, self.coupling).view(n_edges, self.dim_in, self.dim_out)
        messages = torch.bmm(features, matrix)
        path_weights = weights[:, self.first_weight : self.first_weight + self.n_weights]
        path_weights = path_weights.view(weights.shape[0], self.n_paths, self.mul).transpose(1, 2)
        return messages * path_weights.index_select(2, self.component_path)
