# SPDX-License-Identifier: GPL-2.0-or-later
"""EGraFFBench as one resumable campaign: models x data sets x seeds x tasks.

V. Bihani et al., EGraFFBench: evaluation of equivariant graph neural network force fields for
atomistic simulations, Digital Discovery 3, 759 (2024).
"""
