# SPDX-License-Identifier: GPL-2.0-or-later
"""Blocks shared by the architectures: plain, readable, twice differentiable, scriptable."""
