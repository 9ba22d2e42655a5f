# SPDX-License-Identifier: GPL-2.0-or-later
"""Random processes whose mean is known, of any length in their slowest correlation time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import expm
from scipy.signal import lfilter


class Process(NamedTuple):
    """A stationary random process.

    Attributes:
        slowest: its slowest correlation time, in samples.
        mean: its exact mean.
        draw: from the number of series, of samples and a random generator to `[n_series, n]`.
    """

    slowest: float
    mean: float
    draw: Callable[[int, int, np.random.Generator], np.ndarray]


def _linear(poles, number: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Autoregressive process with these poles and unit innovations, after its transient."""
    burn = int(15.0 / -np.log(np.abs(poles).max())) + 5
    noise = rng.normal(size=(number, n + burn))
    return lfilter([1.0], np.real(np.poly(poles)), noise)[:, burn:]


def relaxation(tau: float) -> Process:
    """AR(1) of variance 1, correlations exp(-t / tau)."""
    phi = np.exp(-1.0 / tau)
    return Process(
        tau, 0.0, lambda number, n, rng: np.sqrt(1 - phi**2) * _linear([phi], number, n, rng)
    )


def oscillation(tau: float, period: float) -> Process:
    """AR(2) of variance 1, correlations exp(-t / tau) cos(2 pi t / period)."""
    phi = np.exp(-1.0 / tau + 2j * np.pi / period)

    def draw(number, n, rng):
        noise = rng.normal(size=(2, number, n + int(15 * tau)))
        filtered = lfilter([np.sqrt(1 - abs(phi) ** 2)], [1, -phi], noise[0] + 1j * noise[1])
        return filtered.real[:, -n:]

    return Process(tau, 0.0, draw)


def with_poles(*poles: complex) -> Process:
    """Autoregressive process with these poles."""
    slowest = -1.0 / np.log(np.abs(poles).max())
    return Process(slowest, 0.0, lambda number, n, rng: _linear(poles, number, n, rng))


def total(first: Process, weight: float, second: Process) -> Process:
    """``first + weight * second``, independent of each other."""
    return Process(
        max(first.slowest, second.slowest),
        first.mean + weight * second.mean,
        lambda number, n, rng: first.draw(number, n, rng) + weight * second.draw(number, n, rng),
    )


def square(of: Process, mean: float, slowest: float) -> Process:
    """Square of a process of mean zero."""
    return Process(slowest, mean, lambda number, n, rng: of.draw(number, n, rng) ** 2)


def oscillator(omega: float, gamma: float, step: float, which: int, slowest: float) -> Process:
    """Position (0) or velocity (1) of a Langevin oscillator of mass and kT 1, propagated exactly.

    Args:
        omega: angular frequency.
        gamma: friction.
        step: time between samples.
        which: 0 for positions, of variance 1 / omega^2, 1 for velocities, of variance 1.
        slowest: correlation time, in samples.
    """
    propagator = expm(np.array([[0.0, 1.0], [-(omega**2), -gamma]]) * step)
    variance = np.diag([1.0 / omega**2, 1.0])
    kick = np.linalg.cholesky(variance - propagator @ variance @ propagator.T)

    def draw(number, n, rng):
        state = np.sqrt(variance) @ rng.normal(size=(2, number))
        found = np.empty((n, number))
        for row in found:
            state = propagator @ state + kick @ rng.normal(size=(2, number))
            row[:] = state[which]
        return found.T

    return Process(slowest, 0.0, draw)


def _langevin(omega: float, gamma: float, step: float, which: int, *, squared: bool) -> Process:
    # the slower one of both exponents of x and v; squares decay twice as fast
    rate = min(np.abs(np.roots([1.0, gamma, omega**2]).real))
    plain = oscillator(omega, gamma, step, which, 1.0 / (rate * step))
    mean = 1.0 if which else 1.0 / omega**2
    return square(plain, mean, 0.5 / (rate * step)) if squared else plain


PROCESSES = {
    "white noise": Process(1.0, 0.0, lambda number, n, rng: rng.normal(size=(number, n))),
    "AR(1), 1.5 samples": relaxation(1.5),
    "AR(1), 5 samples": relaxation(5.0),
    "AR(1), 25 samples": relaxation(25.0),
    "AR(2), oscillates within its decay": oscillation(10.0, 20.0),
    "AR(2), oscillates many times": oscillation(20.0, 10.0),
    "AR(2), alternates over a slow tail": with_poles(-0.7, np.exp(-0.1)),
    "AR(3), oscillates over a slow tail": with_poles(
        np.exp(-1 / 15), 0.9 * np.exp(0.8j), 0.9 * np.exp(-0.8j)
    ),
    "oscillation + slow mode, 3 x as long": total(oscillation(10.0, 6.0), 0.5, relaxation(30.0)),
    "oscillation + weak slow mode, 5 x": total(oscillation(10.0, 6.0), 0.2, relaxation(50.0)),
    "relaxation + slow mode, 50 x": total(relaxation(1.0), 0.3, relaxation(50.0)),
    "square of AR(1)": square(relaxation(10.0), 1.0, 5.0),
    "oscillator, position, underdamped": _langevin(6.0, 1.0, 0.1, 0, squared=False),
    "oscillator, position, overdamped": _langevin(1.0, 4.0, 0.4, 0, squared=False),
    "oscillator, kinetic energy, underdamped": _langevin(6.0, 1.0, 0.1, 1, squared=True),
    "oscillator, potential energy, underdamped": _langevin(6.0, 1.0, 0.1, 0, squared=True),
    "oscillator, kinetic energy, critical": _langevin(1.0, 2.0, 0.3, 1, squared=True),
}
#: Whose spectrum falls to zero at zero frequency, as that of a thermostat with feedback.
CANCELLING = {
    "oscillator, velocity, underdamped": _langevin(6.0, 1.0, 0.1, 1, squared=False),
    "oscillator, velocity, overdamped": _langevin(1.0, 4.0, 0.2, 1, squared=False),
}
