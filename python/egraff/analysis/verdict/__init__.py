# SPDX-License-Identifier: GPL-2.0-or-later
"""What the numbers of a run amount to: sound, to be looked at, unsound, or not enough data."""
