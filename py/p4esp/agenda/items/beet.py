"""BEET mode: one pair of inner addresses, which packets do not hold."""

from __future__ import annotations

from typing import Final

from p4esp.agenda.model import Claim, Evidence, Item, Run, Section
from p4esp.controller.numbers import Mode

_INNER: Final = {"left": "10.1.0.10/32", "right": "10.2.0.10/32"}
_HEADER: Final = 20
"""Octets of an IPv4 header without options."""
_OTHER: Final = {"left": "right", "right": "left"}


def _pair(name: str, section: Section) -> None:
    """The child and its rule are for the two hosts alone."""
    ends = {"local": [_INNER[name]], "remote": [_INNER[_OTHER[name]]]}
    section["peers"][0]["children"][0].update(ends)
    section["policies"][0].update(ends)


def _beet(name: str, section: Section) -> None:
    _pair(name, section)
    section["peers"][0]["children"][0]["mode"] = "beet"


def _asked(evidence: Evidence) -> bool:
    """Whether IKE_AUTH has the notify both ways."""
    messages = [
        *evidence.messages_of("IKE_AUTH request"),
        *evidence.messages_of("IKE_AUTH response"),
    ]
    return all("USE_BEET_MODE" in " ".join(message.payloads) for message in messages)


def _modes(evidence: Evidence) -> set[int]:
    return {entry.arg("mode") for table in ("sa_out", "sa_in") for entry in evidence.entries(table)}


ITEMS: Final = (
    Item(
        "beet",
        "BEET mode: tunnels without an inner header",
        ("draft-ietf-ipsecme-ikev2-beet-mode", "RFC 7402 appendix B"),
        "py/tests/controller/test_beet_negotiation.py"
        "::test_beet_is_negotiated_and_carries_traffic_20_octets_shorter_than_a_tunnel",
        having=Run(_beet),
        lacking=Run(_pair),
        claims=(
            Claim(
                "USE_BEET_MODE is asked for and answered in IKE_AUTH",
                lambda before, after: _asked(after) and not _asked(before),
            ),
            Claim(
                "the SAs of both directions are in mode BEET in place of a tunnel",
                lambda before, after: (
                    (_modes(before), _modes(after)) == ({Mode.TUNNEL}, {Mode.BEET_V4})
                ),
            ),
            Claim(
                f"each packet is {_HEADER} octets shorter on the wire",
                lambda before, after: (
                    before.esp_octets - after.esp_octets == _HEADER * after.sent > 0
                ),
            ),
        ),
    ),
)
