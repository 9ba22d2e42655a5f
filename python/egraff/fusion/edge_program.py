# SPDX-License-Identifier: GPL-2.0-or-later
"""Strictly local models as lists of steps, which the operator ``egraff::allegro_energy`` follows.

Between two nonlinearities everything is linear, so all matrices there are multiplied with each
other, once, before the model is exported; and what of the result depends on the distance alone
becomes part of a table. A :class:`LinearForm` keeps track of this: it says how a quantity follows
from tabulated functions and from buffers, the numbers of an edge that the operator stores.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from egraff.fusion.activations import activation_of
from egraff.fusion.layout import in_panels, padded
from egraff.nn.edge_tensors import ChannelProduct
from egraff.nn.radial import RadialNetwork

# kinds of steps as the operator numbers them
DENSE, ACTIVATE, PRODUCT = range(3)
# in place of a buffer: the tabulated functions of the distance
TABLE = -1


@dataclass(frozen=True)
class LinearForm:
    """A sum of matrices times buffers or, for ``TABLE``, times functions of the distance.

    Attributes:
        parts: buffer -> ``[n_rows, width]`` float64, for its first ``n_rows`` columns.
        width: columns.
    """

    parts: dict[int, Tensor]
    width: int

    def __add__(self, other: LinearForm) -> LinearForm:
        """Add a form of the same width."""
        parts = dict(self.parts)
        for source, matrix in other.parts.items():
            parts[source] = parts[source] + matrix if source in parts else matrix
        return LinearForm(parts, self.width)

    def times(self, matrix: Tensor) -> LinearForm:
        """Multiply by ``[width, new width]``."""
        parts = {source: part @ matrix for source, part in self.parts.items()}
        return LinearForm(parts, matrix.shape[1])

    def columns(self, first: int, last: int) -> LinearForm:
        """Return some of the columns."""
        parts = {source: part[:, first:last] for source, part in self.parts.items()}
        return LinearForm(parts, last - first)


def side_by_side(left: LinearForm, right: LinearForm) -> LinearForm:
    """Return the columns of both forms."""
    width = left.width + right.width
    eye = torch.eye(width, dtype=torch.float64)
    return left.times(eye[: left.width]) + right.times(eye[left.width :])


class EdgeProgram:
    """Collects the steps of a model; its attributes become the operator's arguments.

    Args:
        lanes: numbers in 64 bytes, to a multiple of which all rows are padded with zeros.
        n_functions: functions of the distance that forms are made of.
        l_max: order of the harmonics.
        n_channels: channels of tensors.
    """

    def __init__(self, *, lanes: int, n_functions: int, l_max: int, n_channels: int) -> None:
        self.lanes = lanes
        self.l_max = l_max
        self.n_channels = n_channels
        self.channels = padded(n_channels, lanes)
        self.functions = LinearForm({TABLE: torch.eye(n_functions).double()}, n_functions)
        self.buffers: list[tuple[int, int]] = []
        self.steps: list[tuple[int, int, int, int, int, int]] = []
        self.products: list[tuple[int, int, int, int, int, int, int]] = []
        self.entries: list[tuple[int, int]] = []
        self.terms: list[tuple[int, int]] = []
        self._matrices: list[Tensor] = []
        self._n_matrices = 0
        self._table: list[Tensor] = []
        self._term_weights: list[Tensor] = []

    @property
    def matrices(self) -> Tensor:
        """All matrices and their transposes, one after the other, float64.

        Columns are cut into panels of four times 64 bytes, whose lines lie next to each other.
        """
        return torch.cat([torch.zeros(0, dtype=torch.float64), *self._matrices])

    @property
    def term_weights(self) -> Tensor:
        """Coefficients and weights of the products, ``[n_terms, channels]`` float64."""
        none = torch.zeros(0, self.channels, dtype=torch.float64)
        return torch.cat([none, *self._term_weights])

    @property
    def table_columns(self) -> list[Tensor]:
        """What the columns of the tables are, ``[n_functions, width]`` for each buffer with one."""
        return self._table

    def buffer(self, form: LinearForm) -> int:
        """Store a form, padded; return the buffer."""
        form = form.times(
            torch.eye(form.width, padded(form.width, self.lanes), dtype=torch.float64)
        )
        chunk = -1
        if TABLE in form.parts:
            chunk = sum(part.shape[1] for part in self._table) // self.lanes
            self._table.append(form.parts[TABLE])
        index = self._new_buffer(form.width, chunk)
        for source, matrix in form.parts.items():
            if source != TABLE:
                first = self._n_matrices
                self._matrices += [in_panels(part, self.lanes) for part in (matrix, matrix.T)]
                self._n_matrices += 2 * matrix.numel()
                transposed = first + matrix.numel()
                self.steps.append((DENSE, source, index, first, transposed, matrix.shape[0]))
        return index

    def stored_if_cheaper(self, form: LinearForm, later: int) -> LinearForm:
        """Store a form if what is made of it would cost more operations without.

        Args:
            form: what may be stored.
            later: columns of all that will be made of it.
        """
        rows = sum(part.shape[0] for source, part in form.parts.items() if source != TABLE)
        if rows * later <= rows * form.width + form.width * later:
            return form
        return self.stored(form)

    def stored(self, form: LinearForm) -> LinearForm:
        """Store a form, and return the buffer as one."""
        buffer = self.buffer(form)
        eye = torch.eye(self.buffers[buffer][0], form.width, dtype=torch.float64)
        return LinearForm({buffer: eye}, form.width)

    def weights(self, form: LinearForm, n_groups: int) -> int:
        """Store weights of harmonics, ``n_channels * n_groups`` wide, group by group."""
        order = torch.zeros(form.width, n_groups * self.channels, dtype=torch.float64)
        for column in range(form.width):
            channel, group = divmod(column, n_groups)
            order[column, group * self.channels + channel] = 1.0
        return self.buffer(form.times(order))

    def activated(self, form: LinearForm, act: nn.Module) -> LinearForm:
        """Apply a nonlinearity, zero at zero, or nothing for the identity."""
        if isinstance(act, nn.Identity):
            return form
        before = self.buffer(form)
        width = self.buffers[before][0]
        after = self._new_buffer(width, -1)
        self.steps.append((ACTIVATE, before, after, activation_of(act), 0, 0))
        return LinearForm({after: torch.eye(width, form.width).double()}, form.width)

    def network(self, form: LinearForm, network: RadialNetwork) -> LinearForm:
        """Apply a network without biases."""
        for layer, weight in enumerate(network.weights):
            if layer > 0:
                form = self.activated(form, network.act)
            form = form.times(weight.detach().double() * network.scales[layer])
        return form

    def product(
        self,
        tensors: int,
        weights: int,
        product: ChannelProduct,
        *,
        individual: bool,
        scale: float,
        first: bool,
    ) -> int:
        """Multiply tensors by the environment of their edge's centre.

        Args:
            tensors: buffer of the tensors.
            weights: buffer of the environment's weights.
            product: the product; the order of its outputs is kept.
            individual: weights are for each l; otherwise one is for all of them.
            scale: factor of the environment.
            first: the tensors are weights of harmonics for each l.

        Returns:
            The buffer of the products.
        """
        coupling = product.coupling.view(product.n_paths, product.n_pairs, product.dim_out).double()
        # coefficients are Wigner symbols: what is not zero is far from it
        used = (coupling.abs() > 1e-6).nonzero().tolist()
        pairs = sorted(
            {(component, int(product.pair_a[pair])) for _, pair, component in used}
        )  # the operator wants them sorted by output
        entry = {pair: k for k, pair in enumerate(pairs)}
        path_weights = product.weight.detach().double().expand(product.n_channels, -1).T
        terms, values = [], []
        for path, pair, component in used:
            terms.append((entry[component, int(product.pair_a[pair])], int(product.pair_b[pair])))
            values.append(scale * coupling[path, pair, component] * path_weights[path])
        weights_of_terms = torch.zeros(len(terms), self.channels, dtype=torch.float64)
        weights_of_terms[:, : self.n_channels] = torch.stack(values)
        index = self._new_buffer(product.dim_out * self.channels, -1)
        layer = len(self.products)
        self.steps.append((PRODUCT, tensors, index, weights, layer, int(first)))
        self.products.append(
            (
                product.dim_a,
                product.dim_out,
                len(self.entries),
                len(pairs),
                len(self.terms),
                len(terms),
                int(individual),
            )
        )
        self.entries += [(a, component) for component, a in pairs]
        self.terms += terms
        self._term_weights.append(weights_of_terms)
        return index

    def first_components(self, tensors: int) -> LinearForm:
        """Return component 0 of tensors, for each channel."""
        return LinearForm(
            {tensors: torch.eye(self.channels, self.n_channels).double()}, self.n_channels
        )

    def _new_buffer(self, width: int, chunk: int) -> int:
        self.buffers.append((width, chunk))
        return len(self.buffers) - 1
