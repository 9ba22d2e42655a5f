#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Write constraints.txt from the packages in the virtual environment. Run it after changing a
# dependency and read the difference before committing it.
set -euo pipefail
cd "$(dirname "$0")/.."
{
    echo "# Exact versions that egraff is built and tested with (tools/freeze.sh)."
    echo "# torch: the compiled operators are bound to it, and an open range pulls several GB of CUDA."
    "${VENV:-.venv}/bin/pip" freeze --exclude-editable --exclude egraff | sed 's/+cpu$//' | LC_ALL=C sort -f
} > constraints.txt
