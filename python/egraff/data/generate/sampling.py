# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the molecular dynamics of a protocol and label its frames."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixCom
from ase.md.langevin import Langevin

from egraff.data.generate.protocols import Protocol, Run
from egraff.errors import InputError


def xtb_calculator(method: str, *, accuracy: float, multiplicity: int = 1) -> Calculator:
    """Return a silent `tblite` ASE calculator.

    Args:
        method: ``GFN1-xTB`` or ``GFN2-xTB``.
        accuracy: `tblite` convergence setting; smaller is tighter.
        multiplicity: 2S+1. Above 1 the calculation is spin-polarised.

    Raises:
        InputError: `tblite` is not installed.
    """
    try:
        from tblite.ase import TBLite
    except ModuleNotFoundError as error:
        raise InputError(
            "labels are made with the package tblite, which is not installed",
            fix="pip install tblite",
        ) from error
    options = {"method": method, "accuracy": accuracy, "verbosity": 0}
    if multiplicity > 1:
        options |= {"multiplicity": multiplicity, "spin_polarization": 1.0}
    return TBLite(**options)


def displace_thermally(atoms: Atoms, temperature_K: float, rng: np.random.Generator) -> float:
    """Displace all atoms by Gaussian noise that costs about 3/2 N kT; return its width.

    A run that starts from the perfect structure first has to draw half of its thermal energy out
    of the thermostat. Starting with the right potential energy, equilibration only has to share
    it among the modes.

    Args:
        atoms: structure at an energy minimum, calculator attached; changed in place.
        temperature_K: temperature that the noise stands for.
        rng: source of the noise.

    Returns:
        The standard deviation of each Cartesian displacement, in Angstrom.
    """
    at_rest = atoms.positions.copy()
    noise = rng.standard_normal(at_rest.shape)
    energy_at_rest = atoms.get_potential_energy()
    wanted = 1.5 * len(atoms) * units.kB * temperature_K
    width = 0.05
    # the energy is nearly quadratic in the width, so scaling by the square root soon converges
    for _ in range(4):
        atoms.positions = at_rest + width * noise
        cost = atoms.get_potential_energy() - energy_at_rest
        width *= float(np.sqrt(wanted / cost))
    atoms.positions = at_rest + width * noise
    return width


def sample(protocol: Protocol, run: Run, *, progress: bool = True) -> list[Atoms]:
    """Run one trajectory and return its labelled frames.

    The thermostat is the Langevin integrator of ASE (Vanden-Eijnden and Ciccotti, Chem. Phys.
    Lett. 429, 310 (2006), eq. 23) with the centre of mass held fixed.

    Args:
        protocol: the data set.
        run: one of its runs.
        progress: print a line now and then.

    Returns:
        ``run.n_frames`` frames, each with energy (eV), forces (eV/A) and, if periodic, stress
        (eV/A^3, tension positive) in a single-point calculator. Positions are not wrapped.
    """
    rng = np.random.default_rng(run.seed)
    atoms = protocol.build()
    atoms.calc = xtb_calculator(protocol.method, accuracy=protocol.accuracy)
    displace_thermally(atoms, run.temperature_K, rng)
    atoms.set_constraint(FixCom())
    width = np.sqrt(atoms.get_masses()[:, None] * units.kB * run.temperature_K)
    atoms.set_momenta(width * rng.standard_normal((len(atoms), 3)))
    dynamics = Langevin(
        atoms,
        protocol.timestep_fs * units.fs,
        temperature_K=run.temperature_K,
        friction=run.friction_per_fs / units.fs,
        fixcm=False,
        rng=rng,
    )
    dynamics.run(run.equilibration_steps)
    frames = []
    for number in range(run.n_frames):
        if number > 0 or not run.time_ordered:
            dynamics.run(run.steps_per_frame)
        frame = labelled_copy(atoms)
        frame.info["temperature_K"] = run.temperature_K
        if run.time_ordered:
            frame.info["time_fs"] = number * run.steps_per_frame * protocol.timestep_fs
            frame.set_momenta(atoms.get_momenta().round(4))
        frames.append(frame)
        if progress and (number + 1) % 10 == 0:
            print(f"{run.split}: {number + 1} of {run.n_frames} frames", flush=True)
    return frames


def labelled_copy(atoms: Atoms) -> Atoms:
    """Return a bare copy of ``atoms`` with the labels of its calculator frozen in.

    Labels are rounded to what they are worth: energy 1e-9 eV, forces 1e-6 eV/A, stress
    1e-10 eV/A^3. Fewer digits also make smaller files.
    """
    frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    labels = {
        "energy": round(float(atoms.get_potential_energy()), 9),
        # FixCom would take the (tiny) net force out; the label is what the method gives
        "forces": atoms.get_forces(apply_constraint=False).round(6),
    }
    if atoms.pbc.all():
        labels["stress"] = atoms.get_stress(apply_constraint=False).round(10)
    frame.calc = SinglePointCalculator(frame, **labels)
    return frame


def isolated_atoms(protocol: Protocol) -> list[Atoms]:
    """Return one labelled frame per element: the spin-polarised atom in its ground state.

    Spin polarisation adds nothing to a closed-shell system, so these energies are consistent with
    the (not polarised) labels of the molecule and the crystal.
    """
    frames = []
    for symbol, multiplicity in protocol.multiplicities.items():
        atom = Atoms(symbol, positions=[[0.0, 0.0, 0.0]])
        atom.calc = xtb_calculator(
            protocol.method, accuracy=protocol.accuracy, multiplicity=multiplicity
        )
        frame = labelled_copy(atom)
        frame.info["multiplicity"] = multiplicity
        frames.append(frame)
    return frames
