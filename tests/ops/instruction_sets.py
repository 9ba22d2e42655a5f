# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs of the operators with other instruction sets, which are chosen when a process starts."""

from __future__ import annotations

import os
import subprocess
import sys


def run_with(capability: str, script: str) -> None:
    """Run Python code in a process that has no instruction set above ``default`` or ``avx2``."""
    script += "import torch\nprint(torch.backends.cpu.get_cpu_capability())\n"
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().lower() == capability
