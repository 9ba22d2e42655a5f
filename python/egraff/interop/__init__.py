# SPDX-License-Identifier: GPL-2.0-or-later
"""Models of other packages: one module each, which turns their weights into egraff's.

Every module has ``convert_state``, which needs no other package installed. It takes the options and
the ``state_dict()`` of an original, and returns options for :func:`egraff.models.build` and the
state of the model that this makes. It raises :class:`egraff.errors.InputError` for an option that
egraff lacks, and for a weight that is missing or has another shape.
"""
