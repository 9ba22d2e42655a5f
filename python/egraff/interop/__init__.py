# SPDX-License-Identifier: GPL-2.0-or-later
"""Models of other packages: one module each, which turns their weights into egraff's.

Every module has ``convert_state``, which needs no other package installed.
"""
