# SPDX-License-Identifier: GPL-2.0-or-later
"""Write a model as machine code: an AOTInductor package (``.pt2``).

What is compiled is one program for the energies and their derivative by the edge vectors, with the
ghost exchanges of both inside, for any numbers of atoms and edges (:mod:`egraff.aoti_graph`).
The package is a zip archive; ``egraff.json`` is added to it as to a TorchScript file.
"""

from __future__ import annotations

import json
import platform
import warnings
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from ase import Atoms

from egraff import _core
from egraff.aoti_graph import trace
from egraff.errors import EgraffError, InputError
from egraff.export import MODEL_LICENCE, Prepared, compare_predictions, prepare
from egraff.files import atomic_path
from egraff.forces import Prediction, edge_virial, predict
from egraff.graph import Graph
from egraff.metadata import METADATA_NAME
from egraff.models.base import ForceField

# For each instruction set: what compilers call it, and the width of its vectors in bits.
# torch's default is whatever the compiling machine has: elsewhere that may be an illegal
# instruction, which ends a run without a message.
INSTRUCTION_SETS = {
    "AVX512": ("x86-64-v4", 512),
    "AVX2": ("x86-64-v3", 256),
    "baseline": ("", 1),
}


def export_aoti(
    model: ForceField,
    target: str | PathLike[str],
    *,
    structure: Atoms | None = None,
    training_data: Mapping[str, Any] | None = None,
    licence: str = MODEL_LICENCE,
    fuse: bool | None = False,
    instruction_set: str | None = None,
) -> dict[str, Any]:
    """Write ``model`` to ``target``, compiled for the CPU. Takes a minute or so.

    Args:
        model: an eager model; its dtype is the file's.
        target: the file to write, by custom ``NAME.egraff.pt2``.
        structure: as for :func:`egraff.export.export_torchscript`.
        training_data: likewise.
        licence: likewise.
        fuse: likewise.
        instruction_set: one of :data:`INSTRUCTION_SETS`; the file runs on processors that have
            it. Default: that of this machine.

    Returns:
        The metadata in the file.

    Raises:
        DisagreementError: the compiled model differs from the eager one; nothing is written.
        EgraffError: there is no C++ compiler, or it fails, or there are no fused operators for
            this model.
        InputError: an instruction set that this machine cannot check, or that does not exist.
    """
    instruction_set = _choose_instruction_set(instruction_set)
    find_compiler()
    prepared = prepare(
        model, structure=structure, training_data=training_data, licence=licence, fuse=fuse
    )
    prepared.metadata["format"] = "aoti"
    prepared.metadata["target"] = {
        "machine": platform.machine(),
        "instruction_set": instruction_set,
        "device": "cpu",
    }
    program = trace(prepared.written)
    with atomic_path(target) as partial:
        _compile(program, partial, instruction_set)
        _add_metadata(partial, prepared.metadata)
        _check(prepared, partial)
    return prepared.metadata


def find_compiler() -> str:
    """Return the C++ compiler that torch will use.

    Raises:
        EgraffError: there is none.
    """
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        return get_cpp_compiler()
    except (InvalidCxxCompiler, RuntimeError) as error:
        raise EgraffError(
            "expected a C++ compiler, which compiles the model, found none\n"
            "  fix: install one (for example: apt install g++) or name it in the environment "
            "variable CXX; or export with --format torchscript, which needs none"
        ) from error


def _choose_instruction_set(wanted: str | None) -> str:
    own = torch.backends.cpu.get_cpu_capability()
    known = list(INSTRUCTION_SETS)
    here = known[known.index(own) :] if own in known else ["baseline"]
    if wanted is None:
        return here[0]
    if wanted not in here:
        raise InputError(
            f"expected one that this machine can check ({', '.join(here)}), got {wanted}",
            field="--instruction-set",
            fix="choose one of these, or export on a machine that has it",
        )
    return wanted


def _compile(program: torch.export.ExportedProgram, target: Path, instruction_set: str) -> None:
    from torch._inductor.exc import CppCompileError

    march, width = INSTRUCTION_SETS[instruction_set]
    with warnings.catch_warnings():
        # torch's own modules use what torch deprecates
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            torch._inductor.aoti_compile_and_package(
                program,
                package_path=str(target),
                inductor_configs={
                    "cpp.march": march,
                    "cpp.simdlen": width,
                    # of the run, not of this process
                    "cpp.dynamic_threads": True,
                    # the ends of loops that are vectorised read past the ends of tensors
                    "cpp.enable_loop_tail_vec": False,
                    # an MPI rank may have no atom, or one
                    "aot_inductor.check_lowerbound": False,
                },
            )
        except CppCompileError as error:
            raise EgraffError(
                f"expected the C++ compiler to compile the model, got:\n{str(error)[-2000:]}\n"
                "  fix: try another compiler (environment variable CXX); or export with "
                "--format torchscript"
            ) from error


def _add_metadata(package: Path, metadata: dict[str, Any]) -> None:
    """Add ``<archive>/extra/egraff.json``."""
    with zipfile.ZipFile(package, "a") as archive:
        root = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{root}/extra/{METADATA_NAME}", json.dumps(metadata))


def _check(prepared: Prepared, package: Path) -> None:
    """Compare the package with the model it was made of, as LAMMPS will run it."""
    compiled = _core.Model(str(package))
    for name, graph in prepared.graphs.items():
        compare_predictions(
            predict(prepared.model, graph),
            _evaluate(compiled, graph),
            what=f"compiled and eager model, {name}",
            tolerance=prepared.tolerance_on(graph),
        )


def _evaluate(model: _core.Model, graph: Graph) -> Prediction:
    found = model.evaluate(graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms)
    virial = edge_virial(graph, found["edge_gradient"])
    return Prediction(
        energy=torch.tensor([found["energy"]], dtype=torch.float64),
        atomic_energy=found["atomic_energy"],
        forces=found["forces"],
        virial=virial,
        stress=-virial / graph.volume,
        edge_gradient=found["edge_gradient"],
    )
