"""Changes to the configuration of two gateways, as items of the agenda need them."""

from __future__ import annotations

from typing import Any

from p4esp.agenda.model import Amend, Section


def extension(**wishes: bool) -> Amend:
    """Extensions of IKE at both gateways; those of drafts with the switch that they take."""

    def amend(_: str, section: Section) -> None:
        section["experimental"] = True
        section["peers"][0].setdefault("extensions", {}).update(wishes)

    return amend


def child(**keys: Any) -> Amend:
    """Keys of the child SA at both gateways."""

    def amend(_: str, section: Section) -> None:
        section["experimental"] = True
        section["peers"][0]["children"][0].update(keys)

    return amend


def only(gateway: str, amend: Amend) -> Amend:
    """A change at one gateway."""

    def of_one(name: str, section: Section) -> None:
        if name == gateway:
            amend(name, section)

    return of_one


def together(*changes: Amend) -> Amend:
    """Several changes, one after the other."""

    def all_of_them(name: str, section: Section) -> None:
        for amend in changes:
            amend(name, section)

    return all_of_them
