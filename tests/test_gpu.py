# SPDX-License-Identifier: GPL-2.0-or-later
"""Python on a GPU gives what Python on the CPU gives. `make test-gpu` runs these."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from rich.console import Console

from egraff import _core
from egraff.errors import ModelFileError
from egraff.export import export_torchscript
from egraff.forces import predict
from egraff.models import ARCHITECTURES, build
from egraff.training.fit import fit
from tests.models.configs import small_config
from tests.models.structures import crystal, graph_of, molecule
from tests.pair_style.systems import SYSTEMS
from tests.training.toy import frames, settings, write

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
ARCHITECTURE = pytest.mark.parametrize("name", sorted(ARCHITECTURES))


def model_of(name: str, dtype: str = "float64"):
    return build(name, seed=5, **{**small_config(name), "dtype": dtype}).eval()


def close(found: torch.Tensor, expected: torch.Tensor, relative: float) -> None:
    assert found.shape == expected.shape
    assert (found.cpu() - expected).abs().max() <= relative * expected.abs().max()


def compare_file(path, model) -> None:
    core = _core.Model(str(path), device="cuda")
    assert core.device == "cuda:0"
    for system in ("triclinic", "below the cutoff"):
        graph = graph_of(model, SYSTEMS[system])
        found = core.evaluate(graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms)
        expected = predict(model, graph)
        close(found["forces"], expected.forces, 1e-9)
        close(found["atomic_energy"], expected.atomic_energy, 1e-12)


@ARCHITECTURE
def test_eager_models(name):
    model = model_of(name)
    on_gpu = copy.deepcopy(model).to("cuda")
    graph = graph_of(model, [molecule(), crystal()])
    expected, found = predict(model, graph), predict(on_gpu, graph.to("cuda"))
    assert found.forces.is_cuda
    for quantity in ("energy", "forces", "stress", "edge_gradient"):
        close(getattr(found, quantity)[-1:], getattr(expected, quantity)[-1:], 1e-9)
    close(found.forces, expected.forces, 1e-9)


@ARCHITECTURE
def test_torchscript_files(name, tmp_path):
    model = model_of(name)
    export_torchscript(model, tmp_path / "m.egraff.pt", fuse=False)
    compare_file(tmp_path / "m.egraff.pt", model)


@ARCHITECTURE
def test_fused_files_are_refused(name, tmp_path):
    export_torchscript(model_of(name, "float32"), tmp_path / "m.egraff.pt", fuse=True)
    for device in ("cuda", "auto"):
        with pytest.raises(ModelFileError, match="--no-fuse"):
            _core.Model(str(tmp_path / "m.egraff.pt"), device=device)


def test_training(tmp_path):
    """The same seeds: the same errors after two epochs, but for the order of sums."""
    write(tmp_path / "train.xyz", frames(1, 12))
    write(tmp_path / "val.xyz", frames(2, 4))
    errors = {}
    for device in ("cpu", "cuda"):
        config = settings(tmp_path, epochs=2, device=device)
        summary = fit(config, tmp_path / device, console=Console(file=io.StringIO()))
        assert summary["training"]["device"] == device
        errors[device] = summary["validation"]["force_mae_ev_per_ang"]["value"]
    assert errors["cuda"] == pytest.approx(errors["cpu"], rel=1e-3)
