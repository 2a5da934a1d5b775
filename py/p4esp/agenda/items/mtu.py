"""MTU detection: an end says over IKE how long packets may be."""

from __future__ import annotations

from typing import Final

from p4esp.agenda.configuring import extension, only, together
from p4esp.agenda.model import Claim, Evidence, Item, Run, Section
from p4esp.demo.lab import Lab
from p4esp.demo.plan import INSIDE, RIGHT
from p4esp.service.journal import Kind

_NARROW: Final = 1420
"""Octets that the link behind the right gateway takes: less than what the tunnel does."""


def _narrow_link(_: str, section: Section) -> None:
    section["interfaces"][INSIDE]["mtu"] = _NARROW


_BEHIND_RIGHT: Final = only(RIGHT.name, _narrow_link)


async def _until_told(lab: Lab) -> None:
    await lab.tunnel_up()
    await lab.happened(lab.left, Kind.PATH_MTU, f"{_NARROW} inside")


def _longest(evidence: Evidence) -> int:
    """Octets of the largest packet that the left gateway seals."""
    return evidence.entries("sa_out")[0].arg("inner_mtu")


ITEMS: Final = (
    Item(
        "mtu-detection",
        "MTU detection",
        ("draft-liu-ipsecme-ikev2-mtu-dect, layouts ours",),
        "py/tests/controller/test_mtu_reports.py"
        "::test_fragments_are_reported_and_the_inner_host_hears_of_it",
        having=Run(together(extension(mtu_detection=True), _BEHIND_RIGHT), _until_told),
        lacking=Run(_BEHIND_RIGHT),
        claims=(
            Claim(
                "both ends know of it",
                lambda _, after: after.agreed("LINK_MAX_ATOMIC_PACKET"),
            ),
            Claim(
                "the left gateway seals no packet that the link behind the right one cannot take",
                lambda before, after: _longest(before) > _longest(after) == _NARROW,
            ),
        ),
    ),
)
