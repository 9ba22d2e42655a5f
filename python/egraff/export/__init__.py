# SPDX-License-Identifier: GPL-2.0-or-later
"""Write a model as one self-describing file, after proving that it is the same model.

The file is an archive, of TorchScript (:mod:`egraff.export.torchscript`) or of AOTInductor
(:mod:`egraff.export.aoti`), with two records more: ``egraff.json`` (format, contract version,
architecture and options, elements, cutoffs, dtype, ghost exchanges, units, versions, the identity
of the training data, licence, citations, a checksum of the weights, and a small structure with its
energy and forces, which every program that loads the file may verify), and a digest of everything,
which every program does verify.
"""

from egraff.export.agreement import compare
from egraff.export.prepare import MODEL_LICENCE
from egraff.export.torchscript import export_torchscript

__all__ = ["MODEL_LICENCE", "compare", "export_torchscript"]
