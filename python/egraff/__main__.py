# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m egraff``."""

from egraff.cli import main

main()
