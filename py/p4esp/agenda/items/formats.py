"""Formats of ESP that IKE agrees on: by a notify, or as a protocol beside ESP."""

from __future__ import annotations

from typing import Any, Final

from p4esp.agenda.configuring import child, only, together
from p4esp.agenda.model import Amend, Claim, Evidence, Item, Run
from p4esp.demo.lab import Lab
from p4esp.ipsec.formats import format_named
from p4esp.service.journal import Kind

_IMPLICIT: Final = ["aes256gcm16iiv-noesn"]
_WISHED: Final = "subspaces"
_TEST: Final = (
    "py/tests/controller/test_formats_end_to_end.py"
    "::test_traffic_both_ways_is_byte_identical_and_on_the_wire_in_the_format"
)
_EESP_TEST: Final = (
    "py/tests/controller/test_eesp_end_to_end.py"
    "::test_each_direction_is_on_the_wire_as_its_receiver_takes_it"
)


def _both_have(name: str) -> Claim:
    return Claim(
        f"both gateways have an SA of format {name}",
        lambda _, after: all(_formats(after, gateway) == [name] for gateway in after.children),
    )


def _formats(evidence: Evidence, gateway: str) -> list[str]:
    """The names, without the parameters behind them."""
    return [sa["format"].split(",")[0].split(" ")[0] for sa in evidence.children[gateway]]


def _item(name: str, title: str, test: str = _TEST, **keys: Any) -> Item:
    return Item(
        name,
        title,
        (format_named(name).source.short,),
        test,
        having=Run(child(format=name, **keys)),
        claims=(_both_have(name),),
    )


async def _fail(lab: Lab) -> None:
    await lab.happened(lab.left, Kind.SA_FAILED)


def _wished(*, required: bool) -> Amend:
    """The left gateway wants a format of which the right one knows nothing."""
    keys = {"format": _WISHED, "subs": 16, "proposals": _IMPLICIT, "format_required": required}
    return together(child(proposals=_IMPLICIT), only("left", child(**keys)))


def _numbers(evidence: Evidence) -> set[int]:
    """Whether the left gateway's SAs have extended numbers, in both directions."""
    entries = (*evidence.entries("sa_out"), *evidence.entries("sa_in"))
    return {entry.arg("esn") for entry in entries}


_FALLBACK: Final = Item(
    "format-fallback",
    "A format that the peer does not know",
    ("ours, after IETF 118",),
    "py/tests/controller/test_formats_end_to_end.py"
    "::test_without_the_peers_consent_traffic_is_plain_esp",
    having=Run(_wished(required=True), _fail, packets=False),
    lacking=Run(_wished(required=False)),
    claims=(
        Claim(
            "where it is a wish, both gateways have an SA of plain ESP",
            lambda before, _: all(_formats(before, end) == ["esp"] for end in before.children),
        ),
        Claim(
            "where it is required, there is no SA, and the journal names the format",
            lambda _, after: after.says(_WISHED) and not any(after.children.values()),
        ),
    ),
    negotiated=lambda _: [],
)

_SEQUENCE_NUMBERS: Final = Item(
    "sequence-numbers",
    "Sequence Numbers transform: 64 bits, of which 32 are sent",
    ("RFC 9827",),
    "py/tests/ike/test_sequence_numbers.py"
    "::test_the_first_number_that_is_known_and_allowed_is_chosen",
    having=Run(child(proposals=["aes256gcm16-esn"])),
    claims=(
        Claim(
            "both SAs of a gateway count with 64 bits, and only where that was agreed on",
            lambda before, after: (_numbers(before), _numbers(after)) == ({0}, {1}),
        ),
    ),
)

ITEMS: Final = (
    _item("trailer-in-header", "ESP trailer adjustment: its facts in front", proposals=_IMPLICIT),
    _item("header-in-trailer", "ESP header adjustment: the header at the end", proposals=_IMPLICIT),
    _item("crypt-offset-shown", "Encryption offset: some octets stay in clear", shown=28),
    _item("sub-child", "Multiple sequence counters: sub-child SAs", subs=16),
    _item("subspaces", "Anti-replay subspaces", proposals=_IMPLICIT, subs=16),
    _item("wesp-v2", "WESPv2", shown=28, proposals=["aes256gcm16-noesn"]),
    _item("eesp-full", "Enhanced ESP", _EESP_TEST, proposals=_IMPLICIT, subs=4, shown=28),
    _FALLBACK,
    _SEQUENCE_NUMBERS,
)
