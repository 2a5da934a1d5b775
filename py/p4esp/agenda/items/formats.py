"""Formats of ESP that IKE agrees on: by a notify, or as a protocol beside ESP."""

from __future__ import annotations

from typing import Any, Final

from p4esp.agenda.configuring import child
from p4esp.agenda.model import Claim, Evidence, Item, Run
from p4esp.ipsec.formats import format_named

_IMPLICIT: Final = ["aes256gcm16iiv-noesn"]
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


ITEMS: Final = (
    _item("trailer-in-header", "ESP trailer adjustment: its facts in front", proposals=_IMPLICIT),
    _item("header-in-trailer", "ESP header adjustment: the header at the end", proposals=_IMPLICIT),
    _item("crypt-offset-shown", "Encryption offset: some octets stay in clear", shown=28),
    _item("sub-child", "Multiple sequence counters: sub-child SAs", subs=16),
    _item("subspaces", "Anti-replay subspaces", proposals=_IMPLICIT, subs=16),
    _item("wesp-v2", "WESPv2", shown=28, proposals=["aes256gcm16-noesn"]),
    _item("eesp-full", "Enhanced ESP", _EESP_TEST, proposals=_IMPLICIT, subs=4, shown=28),
)
