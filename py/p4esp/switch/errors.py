"""Errors of the switch that are not about table state (those are in ``entries``)."""

from __future__ import annotations


class LoadError(Exception):
    """A program was refused; the one that ran before it goes on running.

    ``construct`` names what is not accepted (``header stack``, ``primitive 'truncate'``), ``where``
    says where in the JSON document it stands (``pipelines[0].tables[3].key[1]``).
    """

    def __init__(self, construct: str, where: str, reason: str = "is not supported") -> None:
        super().__init__(f"{where}: {construct} {reason}")
        self.construct = construct
        self.where = where
        self.reason = reason
