# SPDX-License-Identifier: GPL-2.0-or-later
"""The exchange operators without an engine: identity, adjoints, shapes, refusals."""

import importlib.util
import json
from importlib import metadata
from pathlib import Path

import pytest
import torch

from egraff import ops
from egraff.errors import EgraffError

ops.load()
exchange = torch.ops.egraff.ghost_exchange
reduce = torch.ops.egraff.ghost_reduce


@pytest.mark.parametrize("op", [exchange, reduce])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_identity_that_does_not_alias(op, n):
    x = torch.randn(n, 3, dtype=torch.float64)
    y = op(x, n)
    assert torch.equal(x, y)
    assert n == 0 or y.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("op", [exchange, reduce])
def test_derivatives_to_second_order(op):
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: op(x, 4).sin(), (x,))
    assert torch.autograd.gradgradcheck(lambda x: op(x, 4).sin(), (x,))


@pytest.mark.parametrize("op", [exchange, reduce])
def test_registration_passes_torchs_own_checks(op):
    x = torch.randn(4, 3, requires_grad=True)
    assert set(torch.library.opcheck(op, (x, 4)).values()) == {"SUCCESS"}


def test_the_engines_form_says_that_it_may_share_memory():
    shared = torch.ops.egraff.ghost_exchange_shared
    (x, _), (y,) = shared.default._schema.arguments, shared.default._schema.returns
    assert x.alias_info.before_set == y.alias_info.before_set == {"a"}
    assert not x.alias_info.is_write
    assert torch.Tag.pt2_compliant_tag in exchange.default.tags
    assert torch.Tag.pt2_compliant_tag not in shared.default.tags
    rows = torch.randn(4, 3, requires_grad=True)
    assert shared(rows, 4).data_ptr() == rows.data_ptr()
    with pytest.raises(ValueError, match=r"_shared: expected 4 nodes, all local, got 5: .*no eng"):
        shared(rows, 5)


class Layer(torch.nn.Module):
    def forward(self, x: torch.Tensor, n_nodes: int) -> torch.Tensor:
        return torch.ops.egraff.ghost_exchange(x.sin(), n_nodes)


def test_scripted():
    x = torch.randn(4, 3, requires_grad=True)
    scripted = torch.jit.script(Layer())
    for _ in range(3):  # the profiling executor specialises after a few calls
        (gradient,) = torch.autograd.grad(scripted(x, 4).sum(), x)
        assert torch.allclose(gradient, x.cos())


def test_exported_with_free_row_count():
    class Square(torch.nn.Module):
        def forward(self, x):
            return exchange(x, x.shape[0]) ** 2

    rows = torch.export.Dim.DYNAMIC
    program = torch.export.export(Square(), (torch.randn(4, 3),), dynamic_shapes={"x": {0: rows}})
    x = torch.randn(7, 3)
    assert torch.equal(program.module()(x), x**2)


def test_ghosts_without_an_engine_are_refused():
    with pytest.raises(ValueError, match=r"expected 3 nodes, all local, got 5: .* no engine"):
        exchange(torch.randn(3, 2), 5)
    with pytest.raises(ValueError, match=r"expected 3 nodes, all local, got n_local = 2: .*no eng"):
        reduce(torch.randn(3, 2), 2)


@pytest.mark.parametrize(("op", "name"), [(exchange, "x_local"), (reduce, "g_all")])
def test_other_shapes_are_refused(op, name):
    with pytest.raises(ValueError, match=f"expected `{name}` of shape .* got 3 dimension"):
        op(torch.randn(3, 2, 2), 3)


def test_build_record_matches_what_is_installed():
    facts = ops.build_facts()
    assert facts["torch"].split(".")[:2] == metadata.version("torch").split(".")[:2]
    ops.check_torch()


def test_other_torch_is_refused(tmp_path):
    (tmp_path / "build.json").write_text(json.dumps({"torch": "1.9.0"}))
    with pytest.raises(EgraffError, match=r"(?s)expected torch 1\.9\.0.*got torch 2.*fix: build"):
        ops.check_torch(tmp_path)


def test_unreadable_build_record(tmp_path):
    with pytest.raises(EgraffError, match=r"(?s)expected the build record .*build\.json.*fix"):
        ops.build_facts(tmp_path)


def test_missing_compiled_module(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EgraffError, match=r"(?s)expected the compiled module egraff\._core.*fix"):
        ops.library_directory()


def test_incomplete_installation(monkeypatch, tmp_path):
    class Spec:
        origin = str(tmp_path / "_core.so")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec)
    with pytest.raises(EgraffError, match=r"(?s)expected libegraff_ops\.so in .*incomplete.*fix"):
        ops.library_directory()


def test_library_that_does_not_load(monkeypatch, tmp_path):
    (tmp_path / "libegraff_ops.so").write_bytes(b"not a library")
    facts = json.dumps(ops.build_facts())
    (tmp_path / "build.json").write_text(facts)
    monkeypatch.setattr(ops, "library_directory", lambda: Path(tmp_path))
    with pytest.raises(EgraffError, match=r"(?s)libegraff_ops\.so does not load.*fix: build"):
        ops.load.__wrapped__()
