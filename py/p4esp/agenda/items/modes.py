"""BEET mode: packets of one pair of inner addresses, without an inner header."""

from __future__ import annotations

from typing import Final

from p4esp.agenda.configuring import child, together
from p4esp.agenda.model import Claim, Evidence, Item, Run, Section
from p4esp.controller import numbers
from p4esp.demo.plan import LEFT, RIGHT
from p4esp.ipsec.sa import Mode

_HEADER: Final = 20
"""Octets of an IPv4 header without options."""
_HOSTS: Final = {plan.name: plan.host for plan in (LEFT, RIGHT)}
_PAIR: Final = (int(RIGHT.host), int(LEFT.host))


def _between_hosts(name: str, section: Section) -> None:
    """One address a side, in the child and in the rule."""
    (peer,), (rule,) = section["peers"], section["policies"]
    ends = {"local": [f"{_HOSTS[name]}/32"], "remote": [f"{_HOSTS[peer['name']]}/32"]}
    for part in (peer["children"][0], rule):
        part.update(ends)


def _both_have_it(_: Evidence, after: Evidence) -> bool:
    return all([sa["mode"] for sa in sas] == [Mode.BEET] for sas in after.children.values())


def _saved(before: Evidence, after: Evidence) -> bool:
    return before.esp_octets - after.esp_octets == _HEADER * after.sent > 0


def _given(evidence: Evidence) -> tuple[int, ...]:
    """The mode in which the left gateway receives, and the pair that its selectors are."""
    (entry,) = evidence.entries("sa_in")
    return tuple(entry.arg(name) for name in ("mode", "sel_src", "sel_dst"))


ITEMS: Final = (
    Item(
        "beet",
        "BEET mode: no inner header",
        ("draft-ietf-ipsecme-ikev2-beet-mode", "RFC 7402"),
        "py/tests/controller/test_beet_negotiation.py"
        "::test_beet_is_negotiated_and_carries_traffic_20_octets_shorter_than_a_tunnel",
        having=Run(together(_between_hosts, child(mode=Mode.BEET))),
        lacking=Run(_between_hosts),
        claims=(
            Claim("both gateways have an SA in BEET mode", _both_have_it),
            Claim(f"each packet is {_HEADER} octets shorter on the wire", _saved),
            Claim(
                "the inbound SA gives packets the addresses of its selectors",
                lambda before, after: (
                    _given(before) == (numbers.Mode.TUNNEL, *_PAIR)
                    and _given(after) == (numbers.Mode.BEET_V4, *_PAIR)
                ),
            ),
        ),
    ),
)
