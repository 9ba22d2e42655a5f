# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests that any exported model must pass, on any structure: behind ``egraff check``.

Symmetry, forces against finite differences, smoothness at the cutoff, and the same numbers from
Python and from LAMMPS on any number of ranks. Each check reports the largest deviation and the
limit it was held against; the limits follow the model's floating-point type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from os import PathLike

import numpy as np
from ase import Atoms
from scipy.spatial.transform import Rotation

from egraff.calculator import EgraffCalculator

# Relative to the largest force or to the binding energy; float32 networks carry about 1e-6 of
# rounding for each layer, and finite differences divide rounding by the step.
LIMITS = {
    "float64": {"symmetry": 1e-10, "finite differences": 1e-6, "engine": 1e-10},
    "float32": {"symmetry": 2e-5, "finite differences": 5e-3, "engine": 1e-5},
}
STEPS_ANG = {"float64": (1e-3, 3e-4, 1e-4), "float32": (3e-2, 1e-2, 3e-3)}


@dataclass(frozen=True)
class Check:
    """Outcome of one check.

    Attributes:
        name: what was checked.
        deviation: the largest deviation found, in ``unit``.
        limit: the largest allowed.
        unit: ``eV``, ``eV/A`` or ``relative``.
    """

    name: str
    deviation: float
    limit: float
    unit: str

    @property
    def passed(self) -> bool:
        """Whether the deviation is a number within the limit."""
        return bool(self.deviation <= self.limit)


def check_model(
    path: str | PathLike[str],
    structure: Atoms | None = None,
    *,
    ranks: Sequence[int] = (1, 2),
) -> Iterable[Check]:
    """Run all checks, yielding each as it is done.

    Args:
        path: an exported model.
        structure: where to test; the frame stored in the model when None.
        ranks: numbers of MPI ranks on which LAMMPS must agree with Python; may be empty.

    Raises:
        InputError: the model or the structure cannot be used.
        RunError: LAMMPS failed.
    """
    calculator = EgraffCalculator(path)
    atoms = stored_structure(calculator) if structure is None else structure.copy()
    limits = LIMITS[calculator.metadata["dtype"]]
    symmetries: list[Callable[..., Check]] = [rotation, inversion, permutation, translation]
    for symmetry in symmetries:
        yield symmetry(calculator, atoms, limits["symmetry"])
    yield finite_differences(calculator, atoms, limits["finite differences"])
    yield from cutoff_smoothness(calculator, limits["symmetry"])
    for count in ranks:
        yield lammps_agreement(calculator, path, atoms, count, limits["engine"])


def stored_structure(calculator: EgraffCalculator) -> Atoms:
    """Return the check frame in the model file as a structure."""
    frame = calculator.metadata["check_frame"]
    return Atoms(**{name: frame[name] for name in ("symbols", "positions", "cell", "pbc")})


def rotation(calculator: EgraffCalculator, atoms: Atoms, limit: float) -> Check:
    """Rotate the structure: energy unchanged, forces turn with it."""
    turn = Rotation.random(random_state=np.random.RandomState(5)).as_matrix()
    return _compare("rotation", calculator, atoms, _transformed(atoms, turn), turn, limit)


def inversion(calculator: EgraffCalculator, atoms: Atoms, limit: float) -> Check:
    """Invert the structure: energy unchanged, forces change sign."""
    return _compare(
        "inversion", calculator, atoms, _transformed(atoms, -np.eye(3)), -np.eye(3), limit
    )


def translation(calculator: EgraffCalculator, atoms: Atoms, limit: float) -> Check:
    """Shift the structure, across the cell's boundary if it has one."""
    moved = atoms.copy()
    moved.positions += [1.7, -2.3, 0.9]
    if moved.pbc.any():
        moved.wrap()
    return _compare("translation", calculator, atoms, moved, np.eye(3), limit)


def permutation(calculator: EgraffCalculator, atoms: Atoms, limit: float) -> Check:
    """Renumber the atoms: forces follow them."""
    order = np.random.default_rng(6).permutation(len(atoms))
    return _compare("permutation", calculator, atoms, atoms[order], np.eye(3), limit, order=order)


def finite_differences(calculator: EgraffCalculator, atoms: Atoms, limit: float) -> Check:
    """Compare forces with central differences of the energy along random directions.

    The best of three steps counts for each direction: large steps err by curvature, small ones by
    rounding.
    """
    rng = np.random.default_rng(7)
    forces = _evaluate(calculator, atoms)[1]
    scale = max(float(np.abs(forces).max()), 1e-3)
    worst = 0.0
    for _ in range(6):
        direction = rng.normal(size=forces.shape)
        direction /= np.linalg.norm(direction)
        expected = float((forces * direction).sum())
        errors = []
        for step in STEPS_ANG[calculator.metadata["dtype"]]:
            ends = []
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions += sign * step * direction
                ends.append(_evaluate(calculator, moved)[0])
            errors.append(abs((ends[1] - ends[0]) / (2 * step) - expected))
        worst = max(worst, min(errors) / scale)
    return Check("forces = finite differences of the energy", worst, limit, "relative")


def cutoff_smoothness(calculator: EgraffCalculator, limit: float) -> Iterable[Check]:
    """Pull each kind of dimer through the cutoff: energy and force must vanish smoothly there."""
    elements = calculator.metadata["elements"]
    r_max = calculator.metadata["r_max"]
    table = calculator.metadata["pair_cutoffs"]
    jump, kink = 0.0, 0.0
    for i, j in combinations_with_replacement(range(len(elements)), 2):
        cutoffs = {r_max} if table is None else {table[i][j], table[j][i]}
        for cutoff in cutoffs:
            inside, outside = (
                _evaluate(calculator, _dimer(elements[i], elements[j], cutoff * factor))
                for factor in (1 - 1e-5, 1 + 1e-5)
            )
            jump = max(jump, abs(inside[0] - outside[0]))
            kink = max(kink, float(np.abs(inside[1] - outside[1]).max()))
    # over 2e-5 r_max a smooth function with a vanishing second derivative changes by far less
    yield Check("energy continuous at the cutoff", jump, max(limit, 1e-9), "eV")
    yield Check("force continuous at the cutoff", kink, max(limit, 1e-6), "eV/A")


def lammps_agreement(
    calculator: EgraffCalculator, path: str | PathLike[str], atoms: Atoms, ranks: int, limit: float
) -> Check:
    """Compare energy, forces and virial from ``lmp`` with those of the Python calculator."""
    from egraff.lammps.single_point import single_point

    there = single_point(path, atoms, ranks=ranks)
    here = _evaluate(calculator, atoms)
    deviations = [
        abs(there.energy - here[0]) / max(1.0, abs(here[0] - _references(calculator, atoms))),
        np.abs(there.forces - here[1]).max() / max(1.0, np.abs(here[1]).max()),
        np.abs(there.virial - here[2]).max() / max(1.0, np.abs(here[2]).max()),
    ]
    name = f"LAMMPS on {ranks} rank{'s' if ranks > 1 else ''} = Python"
    return Check(name, float(np.max(deviations)), limit, "relative")


def _evaluate(calculator: EgraffCalculator, atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray]:
    """Return energy in eV, forces ``[n_atoms, 3]`` in eV/A, virial ``[3, 3]`` in eV."""
    calculator.calculate(atoms)
    return calculator.results["energy"], calculator.results["forces"], calculator.virial


def _references(calculator: EgraffCalculator, atoms: Atoms) -> float:
    """Return the sum of the isolated atoms' energies, which no comparison should hide behind."""
    shift = dict(
        zip(
            calculator.metadata["elements"],
            calculator.metadata["config"]["energy_shift"],
            strict=True,
        )
    )
    return sum(shift[symbol] for symbol in atoms.get_chemical_symbols())


def _compare(
    name: str,
    calculator: EgraffCalculator,
    atoms: Atoms,
    changed: Atoms,
    turn: np.ndarray,
    limit: float,
    *,
    order: np.ndarray | None = None,
) -> Check:
    """Compare a structure with a symmetric copy of it; ``turn`` maps the forces."""
    before, after = _evaluate(calculator, atoms), _evaluate(calculator, changed)
    expected = before[1] @ turn.T
    if order is not None:
        expected = expected[order]
    binding = max(1.0, abs(before[0] - _references(calculator, atoms)))
    energy = abs(after[0] - before[0]) / binding
    forces = np.abs(after[1] - expected).max() / max(1.0, np.abs(before[1]).max())
    return Check(name, float(max(energy, forces)), limit, "relative")


def _transformed(atoms: Atoms, turn: np.ndarray) -> Atoms:
    changed = atoms.copy()
    changed.set_cell(atoms.cell.array @ turn.T)
    changed.positions = atoms.positions @ turn.T
    return changed


def _dimer(first: str, second: str, distance: float) -> Atoms:
    return Atoms([first, second], positions=[[0, 0, 0], [0.6 * distance, 0, 0.8 * distance]])
