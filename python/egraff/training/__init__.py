# SPDX-License-Identifier: GPL-2.0-or-later
"""From labelled frames to a checkpoint, and from a checkpoint to errors that can be trusted."""
