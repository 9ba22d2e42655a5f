# SPDX-License-Identifier: GPL-2.0-or-later
"""Write a model as machine code: an AOTInductor package (``.pt2``).

What is compiled is one program for the energies and their derivative by the edge vectors, with the
ghost exchanges of both inside, for any numbers of atoms and edges
(:mod:`egraff.export.aoti_graph`).
"""

from __future__ import annotations

import platform
import tempfile
import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from ase import Atoms

from egraff.errors import EgraffError, InputError
from egraff.export.aoti_graph import trace
from egraff.export.archive import write_archive
from egraff.export.prepare import MODEL_LICENCE, prepare
from egraff.export.written import check_written
from egraff.files import atomic_path
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
        target: the file to write, by convention ``NAME.egraff.pt2``.
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
    from torch._inductor.runtime.cache_dir_utils import cache_dir

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
    with tempfile.TemporaryDirectory(prefix="egraff-") as name, atomic_path(target) as partial:
        package = Path(name) / "model.pt2"
        _compile(program, package, instruction_set)
        # messages of the compiled program name its sources, and torch's headers
        private = (cache_dir(), Path(torch.__file__).parents[1])
        write_archive(partial, package, prepared.metadata, private=private)
        check_written(prepared, partial, what="compiled and eager model")
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
                    # these hold paths of this machine
                    "aot_inductor.enable_line_tables": False,
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
