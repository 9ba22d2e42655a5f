# SPDX-License-Identifier: GPL-2.0-or-later
"""The loss: energies per atom, force components, and stress in the same unit as energies.

    L = w_E <l((E - E_ref) / N)> + w_F <l(F - F_ref)> + w_S <l((s - s_ref) V / N)>

<> is the mean over the frames, components or tensor elements of the batch that carry the label;
l(x) is x^2, |x| or Huber's function. E/N and s V/N are in eV per atom, F in eV/A, so that frames
of different size and density count equally.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egraff.errors import EgraffError
from egraff.forces import Prediction
from egraff.graph import Graph


def check_shapes(name: str, predicted: Tensor, label: Tensor | None) -> Tensor:
    """Return the label if it has the shape of the prediction.

    Arrays of shapes such as [n] and [n, 1] subtract without complaint to [n, n] and silently train
    a model on the wrong differences.

    Raises:
        EgraffError: the shapes differ, or there is no label.
    """
    got = "none" if label is None else str(list(label.shape))
    if label is None or predicted.shape != label.shape:
        raise EgraffError(
            f"{name}: expected labels of shape {list(predicted.shape)}, as predicted, got {got}\n"
            "  fix: give every frame of the batch its labels in the shapes of egraff.graph.Graph"
        )
    return label


@dataclass(frozen=True)
class LossTerms:
    """The terms of the loss before weighting; a term without labels is zero.

    Attributes:
        energy: in eV per atom (squared for ``mse``).
        forces: in eV/A (squared for ``mse``).
        stress: in eV per atom (squared for ``mse``).
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor


class Loss:
    """Weighted sum of energy, force and stress terms.

    Args:
        kind: ``mse``, ``mae`` or ``huber``.
        energy_weight: weight of the energy term.
        force_weight: weight of the force term.
        stress_weight: weight of the stress term.
        huber_delta: where Huber's function turns linear, in the units of the differences.
    """

    def __init__(
        self,
        kind: str = "mse",
        *,
        energy_weight: float = 1.0,
        force_weight: float = 1.0,
        stress_weight: float = 0.0,
        huber_delta: float = 0.01,
    ) -> None:
        self.kind = kind
        self.weights = LossTerms(energy_weight, force_weight, stress_weight)
        self.huber_delta = huber_delta

    def terms(self, prediction: Prediction, batch: Graph) -> LossTerms:
        """Compare a prediction with the labels of its batch.

        Raises:
            EgraffError: a prediction and its label differ in shape.
        """
        energy = check_shapes("energy", prediction.energy, batch.energy)
        forces = check_shapes("forces", prediction.forces, batch.forces)
        n_atoms = batch.n_atoms_per_frame
        energy_term = self._mean(prediction.energy / n_atoms, energy / n_atoms)
        stress_term = torch.zeros_like(energy_term)
        if self.weights.stress > 0 and batch.stress is not None:
            stress = check_shapes("stress", prediction.virial, batch.stress)
            # the label times the volume, not the prediction over it: a molecule has no volume, and
            # a NaN beside the prediction would come back in the gradient
            scale = batch.volume[:, None, None] / n_atoms[:, None, None]
            stress_term = self._mean(-prediction.virial / n_atoms[:, None, None], stress * scale)
        return LossTerms(energy_term, self._mean(prediction.forces, forces), stress_term)

    def total(self, terms: LossTerms) -> Tensor:
        """Return the weighted sum of the terms."""
        return (
            self.weights.energy * terms.energy
            + self.weights.forces * terms.forces
            + self.weights.stress * terms.stress
        )

    def _mean(self, predicted: Tensor, label: Tensor) -> Tensor:
        """Average l(predicted - label) over all labels; NaN marks those that are missing.

        A prediction that is NaN stays NaN: a broken model must not pass for an unlabelled frame.
        """
        labelled = ~torch.isnan(label)
        difference = torch.where(labelled, predicted - label, torch.zeros_like(predicted))
        if self.kind == "mse":
            values = difference.square()
        elif self.kind == "mae":
            values = difference.abs()
        else:
            values = torch.nn.functional.huber_loss(
                difference, torch.zeros_like(difference), reduction="none", delta=self.huber_delta
            )
        return values.sum() / labelled.sum().clamp(min=1)
