# SPDX-License-Identifier: GPL-2.0-or-later
"""`egraff check` passes a sound model and catches each kind of unsound one."""

import pytest
import torch
from ase.build import bulk
from typer.testing import CliRunner

from egraff.cli import app
from egraff.export import export_torchscript
from egraff.models.base import ForceField, ModelConfig
from egraff.verify import check_model


class Unsound(ForceField):
    """A pair potential with one law broken."""

    architecture = "unsound"
    citations: list[str] = []  # noqa: RUF012
    fault: str = ""

    def forward(
        self, species: torch.Tensor, edge_index: torch.Tensor, edge_vec: torch.Tensor, n_local: int
    ) -> dict[str, torch.Tensor]:
        length = torch.linalg.vector_norm(edge_vec, dim=1)
        share = (length - self.r_max) ** 3
        if self.fault == "direction":
            share = share * (2 + edge_vec[:, 0] ** 2)
        if self.fault == "jump":
            share = share + 0.1
        if self.fault == "kink":
            share = share + 0.1 * (length - self.r_max)
        if self.fault == "force":
            share = share + (share - share.detach())
        energy = torch.zeros(n_local, dtype=torch.float64)
        energy = energy.index_add(0, edge_index[0], share)
        if (
            self.fault == "parity"
        ):  # three different means of the edges around an atom: a handedness
            moments = torch.stack([share, share * length, share * length**2])
            moments = moments[:, :, None] * edge_vec
            means = torch.zeros(3, n_local, 3, dtype=torch.float64)
            means = means.index_add(1, edge_index[0], moments)
            energy = energy + 1e-4 * (means[0] * torch.linalg.cross(means[1], means[2])).sum(1)
        return {"atomic_energy": energy}


@pytest.fixture
def make_unsound(tmp_path):
    def make(fault):
        model = Unsound(ModelConfig(elements=["Cu"], r_max=3.0, dtype="float64"))
        model.fault = fault
        path = tmp_path / f"{fault}.egraff.pt"
        export_torchscript(model, path)
        return path

    return make


@pytest.fixture
def copper():
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
    atoms.rattle(0.1, seed=1)
    return atoms


@pytest.mark.parametrize(
    ("fault", "caught_by"),
    [
        ("direction", "rotation"),
        ("parity", "inversion"),
        ("jump", "energy continuous at the cutoff"),
        ("kink", "force continuous at the cutoff"),
        ("force", "forces = finite differences of the energy"),
    ],
)
def test_a_broken_law_is_caught(make_unsound, copper, fault, caught_by):
    failed = [c.name for c in check_model(make_unsound(fault), copper, ranks=()) if not c.passed]
    assert caught_by in failed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sound_model_passes(exported, dtype):
    checks = list(check_model(exported(dtype), ranks=(1, 2)))
    assert [c.name for c in checks if not c.passed] == []
    assert checks[-1].name == "LAMMPS on 2 ranks = Python"


def test_command_line(exported, make_unsound):
    runner = CliRunner()
    sound = runner.invoke(app, ["check", str(exported("float64")), "--ranks", ""])
    assert sound.exit_code == 0
    assert "ok   rotation" in sound.output
    unsound = runner.invoke(app, ["check", str(make_unsound("jump")), "--ranks", ""])
    assert unsound.exit_code == 1
    assert "FAIL energy continuous at the cutoff" in unsound.output


def test_ranks_must_be_numbers(exported):
    result = CliRunner().invoke(app, ["check", str(exported("float64")), "--ranks", "1,many"])
    assert "--ranks: expected numbers of ranks such as 1,2,4, got '1,many'" in str(result.exception)
