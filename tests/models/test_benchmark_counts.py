# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark's logs give the numbers of weights: the presets' differ by what is said here.

Every difference is between the programs, none between the hyper-parameters: with the layers of the
program of the time, the preset's own numbers make up the logged count exactly.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from e3nn import o3
from torch import nn

from egraff.models import build, preset

# EGraFFBench (Bihani et al., Digital Discovery 3, 759 (2024)), repository MDBENCHGNN at e4ee1e9:
# Logs/allegro/allegro_lips20 (three elements), Logs/equiformer/eqf_{3bpa,acac,lips,GeTe}.txt
LOGGED_ALLEGRO = 8_152_968
LOGGED_EQUIFORMER = 3_496_001


def benchmark_model(name: str, elements: list[str]) -> nn.Module:
    per_element = [1.0] * len(elements)
    return build(
        name,
        elements=elements,
        r_max=5.0,
        avg_num_neighbours=15.0,
        energy_scale=per_element,
        energy_shift=[0.0] * len(elements),
        **preset(name, "egraffbench"),
    )


def count(module: nn.Module) -> int:
    """Return the number of weights that are learnt."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def perceptron(*widths: int) -> int:
    """Return the weights of matrices between layers of these widths, no biases."""
    return sum(a * b for a, b in pairwise(widths))


def linear(irreps_in: str, irreps_out: str) -> int:
    """Return the weights of the equivariant linear map, no biases."""
    into = {block.ir: block.mul for block in o3.Irreps(irreps_in)}
    return sum(into[block.ir] * block.mul for block in o3.Irreps(irreps_out))


class TestAllegro:
    """allegro 0.2.0, ``allegro/nn/_allegro.py`` and ``_fc.py``."""

    scalars, tensors, elements, bessel = 1024, 64, 3, 8
    harmonics = 3  # 0e + 1o + 2e, each with a weight for every channel
    # products of {0e, 1o, 2e} with themselves into 0e; 1o; 2e. Scalars only in the last layer
    paths = (3, 4, 4)

    def test_layers_of_the_time_make_up_the_logged_count(self):
        scalars, tensors, mixed = self.scalars, self.tensors, self.tensors**2
        latent_in = scalars + tensors * self.paths[0]
        layers = {
            "Bessel roots": self.bessel,
            "two-body": perceptron(2 * self.elements + self.bessel, 128, 256, 512, scalars),
            "first tensors, first environment": scalars * 2 * tensors * self.harmonics,
            "second environment": scalars * tensors * self.harmonics,
            "matrices after the products": mixed * sum(self.paths) + mixed * self.paths[0],
            "two latent networks": 2 * perceptron(latent_in, scalars, scalars, scalars),
            "edge energies": perceptron(scalars, 128, 1),
        }
        assert sum(layers.values()) == LOGGED_ALLEGRO

    def test_preset_differs_by_the_layers_of_a_newer_program(self):
        scalars, tensors = self.scalars, self.tensors
        model = benchmark_model("allegro", ["Li", "P", "S"])
        more = {
            # W B(r) times the embeddings of two elements, instead of one row of everything
            "basis and elements": self.bessel * scalars + self.elements * scalars,
            "two-body, input": (scalars - 2 * self.elements - self.bessel) * 128,
            "linear map before the first layer": scalars * scalars,
            "latent networks, input": -2 * (self.paths[0] - 1) * tensors * scalars,
            "weights, not matrices": (tensors - tensors**2) * (sum(self.paths) + self.paths[0]),
            # constants by default in allegro 0.2
            "ratios of old and new scalars": 2,
        }
        assert count(model) - LOGGED_ALLEGRO == sum(more.values())
        # and in the layers themselves
        assert count(model.first_projection) == scalars * (scalars + tensors * self.harmonics)
        assert count(model.readout) == perceptron(scalars, 128, 1)
        assert model.layers[0].product.weight.numel() == tensors * sum(self.paths)


class TestEquiformer:
    """``graph_attention_transformer_nonlinear_exp_l2_md17``."""

    embedded_elements = 64  # whatever the data set
    node = "128x0e+64x1e+32x2e"
    product = "224x0e+384x1e+352x2e"

    @pytest.mark.parametrize("elements", [["Ge", "Te"], ["H", "C", "N", "O"]])
    def test_difference_is_idle_weights(self, elements):
        model = benchmark_model("equiformer", elements)
        # the learnt constant is spread over all irreps of an atom, zero above l = 0; products
        # of these zeros have weights, radial outputs and a part of the linear map behind them
        idle_products = 960 - 384
        idle = {
            "elements that do not occur": (self.embedded_elements - len(elements)) * 128,
            "bias of the embedding": 128,
            "bias of the constant": 128,
            "radial outputs of zero products": idle_products * (64 + 1),
            "linear map of zero products": linear(self.product, self.node)
            - linear("128x0e+128x1e+128x2e", self.node),
        }
        assert count(model) + sum(idle.values()) == LOGGED_EQUIFORMER

    def test_blocks_have_the_logged_sizes(self):
        model = benchmark_model("equiformer", ["H"])
        block = model.blocks[0]
        radial = 32 * 64 + 64 + 64 * 64 + 64 + 4 * 64 + 64 * 960 + 960
        assert count(block.attention) == sum(
            [
                2 * linear(self.node, self.node) + 128,  # merge_src, merge_dst
                radial,
                linear(self.product, "224x0e+64x1e+32x2e") + 224,  # sep_act
                linear(self.product, "128x0e") + 128,  # sep_alpha
                4 * 32,  # alpha_dot
                960 + linear(self.product, self.node) + 128,  # sep_value
                linear(self.node, self.node) + 128,  # proj
            ]
        )
        assert count(block.feed_forward) == sum(
            [
                linear(self.node, "672x0e+192x1e+96x2e") + 672,
                linear("384x0e+192x1e+96x2e", self.node) + 128,
            ]
        )
