# SPDX-License-Identifier: GPL-2.0-or-later
"""Floating-point operations of a fused model, and the fraction of the processor's peak they reach.

    python benchmarks/flops.py --models mace nequip --threads 1 2

Counted are products of matrices, tables, Clebsch-Gordan products and attention, of energy and
forces, from the shapes and plans that the operators are called with: what the algorithm needs, a
multiplication and an addition being two. Not counted are activations, harmonics, normalisations and
sums over arrays, so the fraction of peak is a lower bound. The peak is that of a large product of
float32 matrices on the same threads, measured in the same run.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import timing
import torch
from processes import HERE, measured, model_file
from shapes import build_model, export, exports_folder, fusible, model_parser
from torch.utils._python_dispatch import TorchDispatchMode

# A value from a table: the six numbers of an interval, times what the length makes of them.
TABLE = 12
MATRIX_SIZE = 1536


def product_of_matrices(*arguments: Any) -> int:
    """``mm``, ``bmm``, and with a summand ``addmm``, ``baddbmm``."""
    left, right = arguments[-2:]
    return 2 * left.numel() * right.shape[-1]


def edge_convolution(*arguments: Any) -> int:
    """Per edge and channel, a weight and products with harmonics; per atom, couplings and a map."""
    return convolution(arguments, tables=1, of_outer=2, of_source=1, rest=0)


def edge_convolution_backward(_gradient: Any, *arguments: Any) -> int:
    """Value and slope of the weight; derivatives by features, harmonics and length."""
    *inputs, wants_x, _ = arguments
    of_source = 5 if wants_x else 3
    return convolution(inputs, tables=2, of_outer=4, of_source=of_source, rest=2)


def convolution(
    inputs: Sequence[Any], *, tables: int, of_outer: int, of_source: int, rest: int
) -> int:
    """Count a pass over the edges from what it does with each number of an edge and channel.

    Args:
        inputs: of ``egraff::edge_convolution``.
        tables: look-ups.
        of_outer: operations with each product of features and harmonics that some coupling uses.
        of_source: with each component of the features.
        rest: others.
    """
    edge_vec, paths, index, n_local, after = (inputs[k] for k in (1, 7, 8, 11, 15))
    per_edge = 0
    per_atom = sum(2 * row[1] * row[5] * row[8] for row in after[1].tolist())
    for _, channels, l_in, _, _, _, first, n_couplings in paths.tolist():
        outer = {(a, b) for a, b, _ in index[first : first + n_couplings].tolist()}
        per_channel = tables * TABLE + of_outer * len(outer) + of_source * (2 * l_in + 1) + rest
        per_edge += channels * per_channel
        per_atom += channels * 2 * n_couplings
    return edge_vec.shape[0] * per_edge + int(n_local) * per_atom


def symmetric_contraction(*arguments: Any) -> int:
    """Per atom and channel: monomials, their sums for each path, and its weight."""
    x, weights, products, paths, terms = (arguments[k] for k in (0, 2, 4, 5, 6))
    return x.shape[0] * weights.shape[-1] * (len(products) + 2 * len(terms) + 2 * len(paths))


def symmetric_contraction_backward(_gradient: Any, *arguments: Any) -> int:
    """The monomials again, then each term, and both factors of each monomial."""
    x, weights, products, paths, terms = (arguments[k] for k in (0, 2, 4, 5, 6))
    return x.shape[0] * weights.shape[-1] * (5 * len(products) + 2 * len(terms) + 2 * len(paths))


def irreps_linear(*arguments: Any) -> int:
    """A matrix for each block of channels, and each component."""
    x, blocks = arguments[0], arguments[3]
    return sum(2 * x.shape[0] * row[1] * row[5] * row[8] for row in blocks.tolist())


def allegro_parts(*arguments: Any) -> tuple[int, int]:
    """Return what edges need for tables and matrices, and for products of tensors."""
    edge_vec, tables, buffers, steps = (arguments[k] for k in (0, 3, 6, 7))
    products, term_weights = arguments[9], arguments[12]
    dense, tensors = TABLE * tables.shape[2] * tables.shape[4], 0
    channels = term_weights.shape[-1]
    for kind, _, dest, _, which, rows in steps.tolist():
        if kind == 0:
            dense += 2 * rows * int(buffers[dest, 0])
        elif kind == 2:
            _, _, _, n_entries, _, n_terms, _ = products[which].tolist()
            tensors += 2 * channels * (n_entries + n_terms)
    return edge_vec.shape[0] * dense, edge_vec.shape[0] * tensors


def allegro_energy(*arguments: Any) -> int:
    """The energy alone."""
    return sum(allegro_parts(*arguments))


def allegro_energy_and_gradient(*arguments: Any) -> int:
    """The derivative by inputs costs as much again, and by both factors of products twice."""
    dense, tensors = allegro_parts(*arguments)
    return 2 * dense + 3 * tensors


def scalar_vector_attention(*arguments: Any) -> int:
    """Per edge, an atom with itself included, and channel."""
    # the score 4, messages to scalars 4, along the edge 8, along the neighbour's vector 7
    query, source, edge_vec, _, _, table = arguments[:6]
    has_vectors = source.shape[1] == 6 * table.shape[0] * table.shape[-1]
    per_channel = 4 * TABLE + 16 + (7 if has_vectors else 0)
    return (edge_vec.shape[0] + query.shape[0]) * query.shape[1] * per_channel


def scalar_vector_attention_backward(_by_scalar: Any, _by_vector: Any, *arguments: Any) -> int:
    """Twice the forward pass."""
    return 2 * scalar_vector_attention(*arguments)


def attention_source(*arguments: Any) -> int:
    """A linear map."""
    x, _, weight = arguments[:3]
    return 2 * x.shape[0] * weight.numel()


def attention_source_backward(_gradient: Any, *arguments: Any) -> int:
    """The map's transpose, and what vectors were multiplied with again."""
    v = arguments[1]
    return attention_source(*arguments) * (5 if v.shape[1] else 4) // 4


def gated_vector_update(*arguments: Any) -> int:
    """A linear map of scalars, and one of each component of vectors."""
    weight, maps = arguments[-3], arguments[-1]
    return 2 * arguments[0].shape[0] * (weight.numel() + 3 * maps.numel())


def gated_vector_update_backward(*arguments: Any) -> int:
    """The same again, and their transposes."""
    return 2 * gated_vector_update(*arguments)


def graph_attention_parts(constants: list[torch.Tensor], n_functions: int, n_heads: int) -> Counter:
    """Return what an edge, and after the sums a centre, needs for each stage and its derivative.

    The columns of the plan are those of ``graph_attention_plan.h``; an entry of a path's matrix is
    counted where a coupling makes it differ from zero.
    """
    tables, blocks, inner, outer = (constants[k] for k in (0, 3, 4, 5))
    inner_paths, outer_paths, couplings, terms = (rows.tolist() for rows in constants[6:10])
    bias, direction = constants[12], constants[13]
    channels = blocks[:, 1].tolist()
    parts: Counter[str] = Counter()
    parts["tables"] = TABLE * tables.shape[2] * tables.shape[4]
    parts["matrices"] = 2 * len(direction)
    for dim, width, block, *_ in inner.tolist():
        width_out = channels[block] if block else len(bias)
        parts["matrices"] += 2 * n_functions * width + 2 * dim * width * width_out
    for dim, width, width_out, *_ in outer.tolist():
        parts["centre"] += 2 * n_heads * dim * width * width_out

    def shape(coupling: int) -> tuple[int, int, int, int]:
        l_in, l_out, first, n_terms = couplings[coupling]
        entries = {entry for entry, _ in terms[first : first + n_terms]}
        return 2 * l_in + 1, 2 * l_out + 1, n_terms, len(entries)

    for coupling in range(len(couplings)):
        parts["couplings"] += 2 * shape(coupling)[2]
    for coupling, block, *_ in inner_paths:
        dim, _, n_terms, entries = shape(coupling)
        parts["products"] += channels[block] * (dim + 2 * entries)
        # by entries and by features, each of which also meets the weight, and by the weight
        parts["by_products"] += channels[block] * (5 * dim + 4 * entries) + 2 * n_terms
    for coupling, block, *_ in outer_paths:
        _, dim, n_terms, entries = shape(coupling)
        parts["values"] += channels[block] * (2 * entries + 2 * n_heads * dim)
        # the product again; by each head's weight and by the product; by features and by entries
        parts["by_values"] += channels[block] * (6 * entries + 4 * n_heads * dim) + 2 * n_terms
    return parts


def graph_attention(*arguments: Any) -> int:
    """Tables, matrices and products of each edge, and the matrices of each centre and head."""
    target, edge_vec, constants, n_functions, n_heads = (arguments[k] for k in (1, 2, 5, 6, 7))
    parts = graph_attention_parts(constants, n_functions, n_heads)
    per_edge = sum(parts[k] for k in ("tables", "matrices", "couplings", "products", "values"))
    return edge_vec.shape[0] * per_edge + target.shape[0] * parts["centre"]


def graph_attention_backward(_gradient: Any, *arguments: Any) -> int:
    """What an edge needs up to its value again, for nothing is kept, and all derivatives."""
    target, edge_vec, constants, n_functions, n_heads = (arguments[k] for k in (1, 2, 5, 6, 7))
    parts = graph_attention_parts(constants, n_functions, n_heads)
    per_edge = sum(parts[k] for k in ("couplings", "products", "by_products", "by_values"))
    per_edge += 2 * (parts["tables"] + parts["matrices"])
    return edge_vec.shape[0] * per_edge + target.shape[0] * parts["centre"]


FORMULAS: dict[str, Callable[..., int]] = {
    **dict.fromkeys(("aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm"), product_of_matrices),
    "egraff::edge_convolution": edge_convolution,
    "egraff::edge_convolution_backward": edge_convolution_backward,
    "egraff::symmetric_contraction": symmetric_contraction,
    "egraff::symmetric_contraction_backward": symmetric_contraction_backward,
    "egraff::irreps_linear": irreps_linear,
    "egraff::allegro_energy": allegro_energy,
    "egraff::allegro_energy_and_gradient": allegro_energy_and_gradient,
    "egraff::attention_source": attention_source,
    "egraff::attention_source_backward": attention_source_backward,
    "egraff::gated_vector_update": gated_vector_update,
    "egraff::gated_vector_update_backward": gated_vector_update_backward,
    "egraff::scalar_vector_attention": scalar_vector_attention,
    "egraff::scalar_vector_attention_backward": scalar_vector_attention_backward,
    "egraff::graph_attention": graph_attention,
    "egraff::graph_attention_backward": graph_attention_backward,
}


class Count(TorchDispatchMode):
    """Counts what operators with a formula do, by operator; ``unknown`` are ours without one."""

    # sums, copies and element-wise work
    NOT_COUNTED = (
        "ghost_exchange", "ghost_reduce", "index_sum", "gate", "block_norm",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.unknown: set[str] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name
        if name in FORMULAS:
            self.operations[name.split("::")[1]] += FORMULAS[name](*args)
        elif name.startswith("egraff::") and not name.split("::")[1].startswith(self.NOT_COUNTED):
            self.unknown.add(name)
        return function(*args, **(kwargs or {}))


def count(name: str, n_atoms: int = 64) -> tuple[Counter[str], set[str]]:
    """Return operations per atom by operator, and the operators whose are not known.

    Args:
        name: architecture; fused where there are operators for it.
        n_atoms: of silicon.
    """
    from egraff.fusion import fuse

    model = build_model(name, "float32").eval()
    written = fuse(model).model if fusible(name) else model
    return count_model(written, timing.silicon(n_atoms))


def count_model(model, atoms) -> tuple[Counter[str], set[str]]:
    """Return the same for a model and a structure."""
    from egraff.forces import predict
    from egraff.graph import graph_of_atoms

    for weights in model.parameters():
        weights.requires_grad_(False)
    graph = graph_of_atoms(atoms, elements=model.elements, r_max=model.r_max)
    with Count() as counted:
        predict(model, graph)
    per_atom = Counter({key: value / len(atoms) for key, value in counted.operations.items()})
    return per_atom, counted.unknown


def measure_peak(threads: int) -> dict[str, float]:
    """Return GFLOP/s of a large product of float32 matrices in this process."""
    torch.set_num_threads(threads)
    left, right = torch.randn(2, MATRIX_SIZE, MATRIX_SIZE)
    result = torch.empty(MATRIX_SIZE, MATRIX_SIZE)
    timed = timing.repeat(lambda: torch.mm(left, right, out=result), 1, 2.0)
    return {"gflops": 2 * MATRIX_SIZE**3 / timed["us_min"] / 1e3, "others": timed["others"]}


def table(names: list[str], n_atoms: int, threads: list[int], seconds: float, directory: Path):
    """Print operations per atom, and rates against the peak of the same threads."""
    print("model         kFLOP/atom  thr  us/atom  GFLOP/s   peak  of peak   others", flush=True)
    for name in names:
        operations, unknown = count(name)
        total = sum(operations.values())
        path, _ = export(name, "float32", directory)
        for n_threads in threads:
            peak = measured([sys.executable, HERE / "flops.py", "--peak", n_threads], n_threads)
            result = model_file(path, n_atoms, n_threads, seconds)
            if peak is None or result is None:
                continue
            rate = total / result["us_min"] / 1e3
            print(
                f"{name:12s} {total / 1e3:11.0f} {n_threads:4d} {result['us_min']:8.1f}"
                f" {rate:8.1f} {peak['gflops']:6.0f} {100 * rate / peak['gflops']:6.1f} %"
                f" {result['others']:8.2f}",
                flush=True,
            )
        shares = ", ".join(f"{key} {value / 1e3:.0f}" for key, value in operations.most_common())
        print(f"#   {name}: {shares}", flush=True)
        if unknown:
            print(f"#   {name}: without a formula, so not counted: {', '.join(sorted(unknown))}")


def main() -> None:
    """Measure what the command line asks for and print a table."""
    parser = model_parser(__doc__)
    parser.add_argument("--atoms", type=int, default=512)
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--seconds", type=float, default=3.0, help="per measurement")
    parser.add_argument("--peak", type=int, metavar="THREADS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        timing.report(measure_peak(options.peak))
        return
    with exports_folder(options) as directory:
        table(options.models, options.atoms, options.threads, options.seconds, directory)


if __name__ == "__main__":
    main()
