# SPDX-License-Identifier: GPL-2.0-or-later
"""What every architecture must do: inherit :class:`ModelContract` and name the configurations.

    class TestNequIP(ModelContract):
        architecture = "nequip"
        configs = {"scalars only": {"l_max": 0}}

Every test runs for the small configuration of ``configs.py`` and for each one named in
``configs`` (options on top of the small one), in both floating-point types. Two kinds do not:
finite differences, which rounding would hide, are of float64, and float32 is compared with it;
TorchScript, which takes long to compile, is tested in one type after the other. Equality in LAMMPS
is tested in ``tests/pair_style``.
"""

from __future__ import annotations

import copy
import functools
import io
import json
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from ase import Atoms
from e3nn.util import jit

from egraff.forces import Prediction, predict
from egraff.models import build
from egraff.models.base import ForceField
from tests.models.configs import small_config
from tests.models.ghosts import RecordedExchange, with_ghosts
from tests.models.structures import crystal, graph_of, molecule, rotation, transformed

# Largest deviation that counts as rounding, relative to the largest force (eV/A) or energy (eV).
# Measured over all configurations: 5.6e-6 and 4.4e-14, the one near a kink of TorchMD-Net's lengths
# of vectors, the other in the layer norms of Equiformer; other processors round in other places.
ROUNDING = {"float32": 2e-5, "float64": 1e-12}
DTYPES = ("float32", "float64")
SMALL = "small"


@functools.cache
def _build(architecture: str, options: str, dtype: str) -> ForceField:
    config = {**small_config(architecture), **json.loads(options), "dtype": dtype}
    return build(architecture, seed=7, **config).eval()


class ModelContract:
    """The tests. Subclasses set :attr:`architecture` and :attr:`configs`."""

    architecture: ClassVar[str]
    configs: ClassVar[dict[str, dict[str, Any]]] = {}
    overfit_steps: ClassVar[int] = 150
    overfit_rate: ClassVar[float] = 0.02

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        names = [SMALL, *self.configs]
        if "model" in metafunc.fixturenames:
            cases = [(name, dtype) for name in names for dtype in DTYPES]
            metafunc.parametrize("model", cases, indirect=True, ids="-".join)
        if "model64" in metafunc.fixturenames:
            metafunc.parametrize("model64", names, indirect=True)
        if "scripted_model" in metafunc.fixturenames:
            # compiling takes seconds, so each configuration in one dtype only
            cases = [(name, DTYPES[index % 2]) for index, name in enumerate(names)]
            metafunc.parametrize("scripted_model", cases, indirect=True, ids="-".join)

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest) -> ForceField:
        """Return each configuration in each dtype."""
        name, dtype = request.param
        return self.build(name, dtype)

    @pytest.fixture
    def scripted_model(self, request: pytest.FixtureRequest) -> ForceField:
        """Return the models that are compiled."""
        name, dtype = request.param
        return self.build(name, dtype)

    @pytest.fixture
    def model64(self, request: pytest.FixtureRequest) -> ForceField:
        """Return each configuration in float64, for what rounding would hide."""
        return self.build(request.param, "float64")

    def build(self, name: str, dtype: str) -> ForceField:
        """Return a configuration by name; models are shared between tests."""
        options = {} if name == SMALL else self.configs[name]
        return _build(self.architecture, json.dumps(options), dtype)

    # --- symmetries -------------------------------------------------------------------------

    @pytest.mark.parametrize("structure", [molecule, crystal])
    def test_rotation_and_inversion(self, model, structure):
        atoms = structure()
        before = predict(model, graph_of(model, atoms))
        assert before.forces.abs().max() > 1e-4  # otherwise nothing below means anything
        for matrix in (rotation(3), -rotation(4), -np.eye(3)):
            after = predict(model, graph_of(model, transformed(atoms, matrix)))
            turn = torch.from_numpy(matrix)
            assert_close(model, after.atomic_energy, before.atomic_energy)
            assert_close(model, after.forces, before.forces @ turn)
            assert_close(model, after.virial, turn.T @ before.virial @ turn)

    def test_translation_and_wrapping(self, model):
        atoms = crystal()
        before = predict(model, graph_of(model, atoms))
        moved = atoms.copy()
        moved.positions += [0.3, -1.7, 2.9]
        shifts = np.array([[0, 0, 0], [2, -1, 0], [0, 3, 1], [-1, 0, -2]])
        moved.positions += shifts @ atoms.cell.array
        after = predict(model, graph_of(model, moved))
        assert_close(model, after.atomic_energy, before.atomic_energy)
        assert_close(model, after.forces, before.forces)
        assert_close(model, after.stress, before.stress)

    def test_permutation(self, model):
        atoms = molecule()
        order = [4, 1, 5, 0, 3, 2]
        before = predict(model, graph_of(model, atoms))
        after = predict(model, graph_of(model, atoms[order]))
        assert_close(model, after.atomic_energy, before.atomic_energy[order])
        assert_close(model, after.forces, before.forces[order])

    def test_batched_is_single(self, model):
        structures = [molecule(), crystal(), transformed(molecule(), rotation(5))]
        batched = predict(model, graph_of(model, structures))
        single = [predict(model, graph_of(model, atoms)) for atoms in structures]
        assert_close(model, batched.energy, torch.cat([one.energy for one in single]))
        assert_close(model, batched.forces, torch.cat([one.forces for one in single]))
        assert_close(model, batched.virial, torch.cat([one.virial for one in single]))

    def test_periodic_is_replicated(self, model):
        atoms = crystal()
        one = predict(model, graph_of(model, atoms))
        many = predict(model, graph_of(model, atoms.repeat((2, 1, 3))))
        assert_close(model, many.energy / 6, one.energy)
        assert_close(model, many.forces, one.forces.repeat(6, 1))
        assert_close(model, many.stress, one.stress)

    # --- derivatives ------------------------------------------------------------------------

    @pytest.mark.parametrize("structure", [molecule, crystal])
    def test_forces_are_finite_differences(self, model64, structure):
        atoms = structure()
        forces = predict(model64, graph_of(model64, atoms)).forces

        def displaced(atom: int, axis: int, step: float) -> Atoms:
            result = atoms.copy()
            result.positions[atom, axis] += step
            return result

        moves = [(atom, axis) for atom in range(len(atoms)) for axis in range(3)]

        def numerical(step: float) -> torch.Tensor:
            return -central_difference(model64, displaced, moves, step).view(-1, 3)

        assert_derivative(forces, numerical)

    def test_stress_is_finite_strain(self, model64):
        atoms = crystal()
        stress = predict(model64, graph_of(model64, atoms)).stress[0]

        def strained(a: int, b: int, step: float) -> Atoms:
            deformation = np.eye(3)
            deformation[a, b] += step / 2
            deformation[b, a] += step / 2
            return transformed(atoms, deformation)

        moves = [(a, b) for a in range(3) for b in range(3)]

        def numerical(step: float) -> torch.Tensor:
            slope = central_difference(model64, strained, moves, step).view(3, 3)
            return slope / atoms.get_volume()

        assert_derivative(stress, numerical)

    def test_smooth_through_the_cutoff(self, model64):
        def at(gap: float) -> Prediction:
            return predict(model64, graph_of(model64, coming_in(model64, gap)))

        outside = at(-1e-9)
        scale = max(at(1.0).forces.abs().max().item(), 1e-3)
        jumps = []
        for gap in (1e-3, 1e-4, 1e-5):
            inside = at(gap)
            jumps.append((inside.forces - outside.forces).abs().max().item())
            assert abs(inside.energy - outside.energy) < 100 * scale * gap**2
        # continuous first derivative: the jump of the force goes to zero at least linearly
        assert jumps[-1] < 1e-3 * scale
        assert jumps[2] < 0.3 * jumps[1] + 1e-12
        assert jumps[1] < 0.3 * jumps[0] + 1e-12

    def test_single_precision_is_double_precision(self, model64, request):
        """What differences show in float64 holds in float32, for its derivatives are the same."""
        single = self.build(request.node.callspec.params["model64"], "float32")
        single = copy.deepcopy(single)
        single.load_state_dict(model64.state_dict())
        gaps = (1e-2, 1e-4, -1e-4)
        structures = [molecule(), crystal(), *(coming_in(model64, gap) for gap in gaps)]
        results = []
        for model in (single, model64):
            weights = [weight for weight in model.parameters() if weight.requires_grad]
            prediction = predict(model, graph_of(model, structures), create_graph=True)
            loss = prediction.forces.square().sum() + prediction.stress[1].square().sum()
            gradient = torch.autograd.grad(loss, weights, allow_unused=True)
            flat = torch.cat([g.flatten() for g in gradient if g is not None])
            results.append((prediction, flat))
        (actual, gradient), (expected, gradient64) = results
        assert single.dtype == "float32"
        assert_close(single, actual.atomic_energy, expected.atomic_energy)
        assert_close(single, actual.forces, expected.forces)
        assert_close(single, actual.stress, expected.stress)
        # differentiated twice, relative to the largest of all derivatives
        assert_close(single, gradient, gradient64)

    def test_double_backward(self, model64):
        graph = graph_of(model64, [molecule(), crystal()])
        weights = [weight for weight in model64.parameters() if weight.requires_grad]
        generator = torch.Generator().manual_seed(11)
        direction = [
            torch.randn(w.shape, generator=generator, dtype=torch.float64) for w in weights
        ]

        def loss(create_graph: bool = False) -> torch.Tensor:
            prediction = predict(model64, graph, create_graph=create_graph)
            return prediction.forces.square().sum() + prediction.stress[1].square().sum()

        gradient = torch.autograd.grad(loss(create_graph=True), weights, allow_unused=True)
        slope = sum(
            (g * d).sum() for g, d in zip(gradient, direction, strict=True) if g is not None
        )

        def numerical(step: float) -> torch.Tensor:
            values = []
            for sign in (1, -1):
                shift_weights(weights, direction, sign * step)
                values.append(loss())
                shift_weights(weights, direction, -sign * step)
            return (values[0] - values[1]) / (2 * step)

        assert_derivative(slope, numerical, steps=(1e-4, 1e-5, 1e-6))

    # --- locality ---------------------------------------------------------------------------

    def test_isolated_atom_is_its_reference_energy(self, model):
        apart = Atoms(model.elements, positions=[[50.0 * k, 0, 0] for k in range(3)])
        prediction = predict(model, graph_of(model, apart))
        expected = torch.tensor(self.isolated_energies(model), dtype=torch.float64)
        assert torch.equal(prediction.atomic_energy, expected)
        assert torch.equal(prediction.forces, torch.zeros(3, 3, dtype=torch.float64))

    def isolated_energies(self, model: ForceField) -> list[float]:
        """Return what an isolated atom of each element must have, in eV."""
        return list(model.config.energy_shift)

    def test_far_apart_molecules_do_not_see_each_other(self, model):
        first, second = molecule(), transformed(molecule(), rotation(6))
        second.positions += [0.0, 100.0, 0.0]
        alone = predict(model, graph_of(model, first))
        together = predict(model, graph_of(model, first + second))
        # not one operation over the whole frame: exactly zero would be too much to ask of a
        # batched matrix product, rounding is not
        assert_close(model, together.atomic_energy[:6], alone.atomic_energy)
        assert_close(model, together.forces[:6], alone.forces)

    def test_no_gradient_across_frames(self, model):
        graph = graph_of(model, [molecule(), crystal()])
        edge_vec = graph.edge_vec.to(getattr(torch, model.dtype)).requires_grad_(True)
        energies = model(graph.species, graph.edge_index, edge_vec, graph.n_atoms)["atomic_energy"]
        (gradient,) = torch.autograd.grad(energies[:6].sum(), edge_vec)
        assert torch.count_nonzero(gradient[graph.edge_index[0] >= 6]) == 0
        assert torch.count_nonzero(gradient[graph.edge_index[0] < 6]) > 0

    # --- what an MPI rank may hand over ------------------------------------------------------

    def test_ghosts_through_the_exchange(self, model, monkeypatch):
        graph = graph_of(model, crystal())
        ghosted = with_ghosts(graph)
        exchange = RecordedExchange(ghosted.owner)
        results = {}
        for name in ("folded", "ghosted"):
            edge_vec = graph.edge_vec.to(getattr(torch, model.dtype)).requires_grad_(True)
            parts = (graph.species, graph.edge_index)
            if name == "ghosted":
                monkeypatch.setattr(torch.ops.egraff, "ghost_exchange", exchange)
                parts = (ghosted.species, ghosted.edge_index)
            energy = model(*parts, edge_vec, graph.n_atoms)["atomic_energy"]
            results[name] = energy, torch.autograd.grad(energy.sum(), edge_vec)[0]
        assert exchange.widths == model.exchange_widths
        assert_close(model, results["ghosted"][0], results["folded"][0])
        assert_close(model, results["ghosted"][1], results["folded"][1])

    @pytest.mark.parametrize("n_local", [0, 2])
    def test_no_edges_and_no_atoms(self, model, n_local, monkeypatch):
        # a rank without atoms may still hold ghosts, and must make every exchange
        exchange = RecordedExchange(torch.zeros(3, dtype=torch.int64))
        if n_local == 0:

            def exchange(x: torch.Tensor, n_nodes: int) -> torch.Tensor:
                return x.new_zeros(n_nodes, x.shape[1]) + x.sum()

        monkeypatch.setattr(torch.ops.egraff, "ghost_exchange", exchange)
        edge_vec = torch.zeros(0, 3, dtype=getattr(torch, model.dtype)).requires_grad_(True)
        species = torch.zeros(n_local + 3, dtype=torch.int64)
        edge_index = torch.zeros(2, 0, dtype=torch.int64)
        energy = model(species, edge_index, edge_vec, n_local)["atomic_energy"]
        assert energy.shape == (n_local,)
        assert energy.dtype == torch.float64
        (gradient,) = torch.autograd.grad(energy.sum(), edge_vec)
        assert gradient.shape == (0, 3)

    def test_writes_into_nothing_that_it_was_given(self, model, monkeypatch):
        assert_writes_nothing(model, monkeypatch)

    # --- export -----------------------------------------------------------------------------

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_torchscript_is_eager(self, scripted_model):
        model = scripted_model
        archive = io.BytesIO()
        torch.jit.save(jit.script(model), archive)
        archive.seek(0)
        loaded = torch.jit.load(archive)
        loaded.dtype = model.dtype
        # several sizes: TorchScript specialises on the first ones it sees
        for atoms in (crystal(), Atoms()):
            graph = graph_of(model, atoms)
            eager, scripted = predict(model, graph), predict(loaded, graph)
            assert_close(model, scripted.atomic_energy, eager.atomic_energy)
            assert_close(model, scripted.forces, eager.forces)

    def test_config_and_weights_make_the_same_model(self, model64):
        config = json.loads(json.dumps(model64.config.model_dump()))
        again = build(self.architecture, seed=1, **config).eval()
        again.load_state_dict(model64.state_dict())
        graph = graph_of(model64, crystal())
        assert_close(model64, predict(again, graph).forces, predict(model64, graph).forces)

    def test_outputs_are_named(self, model):
        graph = graph_of(model, molecule())
        edge_vec = graph.edge_vec.to(getattr(torch, model.dtype))
        outputs = model(graph.species, graph.edge_index, edge_vec, graph.n_atoms)
        assert sorted(outputs) == sorted(model.outputs)
        assert all(value.shape[0] == graph.n_atoms for value in outputs.values())
        assert model.citations

    # --- training ---------------------------------------------------------------------------

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_overfits_one_frame(self, dtype):
        options = {**small_config(self.architecture), "dtype": dtype}
        model = build(self.architecture, seed=2, **options)
        graph = graph_of(model, molecule())
        target = torch.from_numpy(springs(molecule()))
        optimiser = torch.optim.Adam(model.parameters(), lr=self.overfit_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.overfit_steps, 1e-4)
        for _ in range(self.overfit_steps):
            optimiser.zero_grad()
            forces = predict(model, graph, create_graph=True).forces
            (forces - target).square().mean().backward()
            optimiser.step()
            schedule.step()
        error = (predict(model, graph).forces - target).square().mean().sqrt()
        assert error < 0.05 * target.square().mean().sqrt()


def assert_writes_nothing(model: ForceField, monkeypatch: pytest.MonkeyPatch) -> None:
    """Require that neither inputs nor rows of exchanges are written, by way of torch's counter."""
    given: dict[str, torch.Tensor] = {}

    def exchange(x: torch.Tensor, n_nodes: int) -> torch.Tensor:
        result = x.clone()
        given[f"sent {len(given)}"], given[f"received {len(given)}"] = x, result
        versions.extend([x._version, result._version])
        return result

    graph = graph_of(model, crystal())
    edge_vec = graph.edge_vec.to(getattr(torch, model.dtype)).requires_grad_(True)
    # torch itself would refuse to write into the leaf
    given |= {"species": graph.species, "edge_index": graph.edge_index, "edge_vec": edge_vec * 1}
    versions = [tensor._version for tensor in given.values()]
    with monkeypatch.context() as patch:
        patch.setattr(torch.ops.egraff, "ghost_exchange", exchange)
        model(given["species"], given["edge_index"], given["edge_vec"], graph.n_atoms)
    written = [
        name
        for (name, tensor), version in zip(given.items(), versions, strict=True)
        if tensor._version != version
    ]
    assert not written, f"written in place: {', '.join(written)}"


def coming_in(model: ForceField, gap: float) -> Atoms:
    """Return three atoms and a fourth, ``gap`` (in A) within the cutoff of the first one only."""
    base = molecule()[:3]
    away = base.positions[0] - base.positions[1:].mean(axis=0)
    away /= np.linalg.norm(away)
    cutoff = model.r_max
    if model.pair_cutoffs is not None:
        hydrogen, oxygen = model.elements.index("H"), model.elements.index("O")
        cutoff = max(model.pair_cutoffs[oxygen][hydrogen], model.pair_cutoffs[hydrogen][oxygen])
    return base + Atoms("H", positions=[base.positions[0] + (cutoff - gap) * away])


def assert_close(model: ForceField, actual: torch.Tensor, expected: torch.Tensor) -> None:
    """Require equality up to the rounding of the model's dtype."""
    expected = expected.to(torch.float64)
    actual = actual.to(torch.float64)
    scale = max(1.0, expected.nan_to_num().abs().max().item()) if expected.numel() else 1.0
    torch.testing.assert_close(
        actual, expected, rtol=0, atol=ROUNDING[model.dtype] * scale, equal_nan=True
    )


def assert_derivative(analytic, numerical, *, steps=(1e-3, 1e-4, 1e-5)) -> None:
    """Require agreement to 1e-6 at the best of several step widths.

    Truncation spoils wide steps and rounding narrow ones; a wrong derivative agrees at none.
    """
    scale = analytic.abs().max().item()
    errors = [(numerical(step) - analytic).abs().max().item() / scale for step in steps]
    assert min(errors) < 1e-6, f"relative errors {errors} at steps {steps}"


def central_difference(model: ForceField, move, moves, step: float) -> torch.Tensor:
    """Return dE/dstep for each of ``moves``, ``[len(moves)]``, all in one batch."""
    frames = [move(*arguments, sign * step) for sign in (1, -1) for arguments in moves]
    energy = predict(model, graph_of(model, frames)).energy
    plus, minus = energy.split(len(moves))
    return (plus - minus) / (2 * step)


def shift_weights(weights, direction, step: float) -> None:
    """Move the weights in place along a direction."""
    with torch.no_grad():
        for weight, part in zip(weights, direction, strict=True):
            weight += step * part


def springs(atoms: Atoms) -> np.ndarray:
    """Return the forces of springs of 2 eV/A^2 and 1.6 A between all pairs, ``[n_atoms, 3]``."""
    vectors = atoms.get_all_distances(vector=True)
    lengths = atoms.get_all_distances()
    np.fill_diagonal(lengths, 1.6)
    return (2.0 * (1.0 - 1.6 / lengths)[:, :, None] * vectors).sum(axis=1)
