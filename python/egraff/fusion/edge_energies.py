# SPDX-License-Identifier: GPL-2.0-or-later
"""Edge energies of strictly local models, in one operator.

``egraff::allegro_energy`` takes a few centres at a time from edge vectors to energies and back to
derivatives; tables, networks, environments and products of their edges stay in the cache. It has a
first derivative only.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from egraff.fusion.distance_tables import PairTables
from egraff.fusion.edge_program import EdgeProgram
from egraff.fusion.layout import in_lines
from egraff.fusion.radial_grid import GRID_START


class FusedEdgeEnergies(nn.Module):
    """Sums of edge energies over the edges of each centre.

    Args:
        program: what is computed.
        tables: on an even grid, columns in the order of the program's.
        dtype: of the model.
    """

    def __init__(self, program: EdgeProgram, tables: PairTables, *, dtype: torch.dtype) -> None:
        super().__init__()
        self.grid_start = GRID_START
        self.l_max: int = program.l_max
        # [n_tables, n_knots, n_chunks, 4, lanes]
        rows = in_lines(tables.in_type(dtype), program.lanes).transpose(2, 3)
        self.register_buffer("tables", rows.contiguous())
        self.register_buffer("pair_scale", tables.pair_scale)
        self.register_buffer("pair_table", tables.of_pair)
        self.register_buffer("matrices", program.matrices.to(dtype))
        self.register_buffer("term_weights", program.term_weights.to(dtype))
        # a module's attribute `buffers` is taken
        self.register_buffer("edge_buffers", _rows(program.buffers, 2))
        self.register_buffer("steps", _rows(program.steps, 6))
        self.register_buffer("products", _rows(program.products, 7))
        self.register_buffer("entries", _rows(program.entries, 2))
        self.register_buffer("terms", _rows(program.terms, 2))

    def forward(
        self, edge_vec: Tensor, species: Tensor, edge_index: Tensor, n_local: int
    ) -> Tensor:
        """Sum the energies of each centre's edges.

        Args:
            edge_vec: ``[n_edges, 3]`` in Angstrom.
            species: ``[n_nodes]``.
            edge_index: ``[2, n_edges]``, row 0 the centre, ascending.
            n_local: number of centres.

        Returns:
            ``[n_local]``.
        """
        return torch.ops.egraff.allegro_energy(
            edge_vec,
            edge_index,
            species,
            self.tables,
            self.pair_scale,
            self.pair_table,
            self.edge_buffers,
            self.steps,
            self.matrices,
            self.products,
            self.entries,
            self.terms,
            self.term_weights,
            self.grid_start,
            self.l_max,
            n_local,
        )


def _rows(rows: Sequence[tuple[int, ...]], n_columns: int) -> Tensor:
    """Return a table of int64, with its columns even where it has no rows."""
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, n_columns)
