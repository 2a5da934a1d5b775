"""Traffic flow confidentiality: dummies (RFC 4303 2.6), padding if the peer takes it (2.7)."""

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from controller_samples import record
from lab_helpers import PROGRAM, drops, passes

from p4esp.controller.commands import ControllerCommands
from p4esp.controller.sa_entries import Handles, SaSettings, pair_entries
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import Change
from p4esp.demo.traffic import is_esp
from p4esp.ike.errors import CommandError
from p4esp.ipsec.sa import Mode
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.service.event_hub import EventHub
from p4esp.store import SaRecord

LEFT, RIGHT = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")


def one(host: IPv4Address) -> tuple[TrafficSelector]:
    return (TrafficSelector(host, host),)


def commands_of(lab: Lab) -> ControllerCommands:
    return ControllerCommands({s.plan.name: lab.gateway(s) for s in lab.sites}, EventHub())


def spi_of(lab: Lab) -> str:
    (live,) = lab.gateway(lab.left).sas.live.values()
    return f"{live.record.child.spi_out:08x}"


async def test_dummies_are_sealed_and_the_peer_discards_them_on_a_counter_of_their_own() -> None:
    async with running_lab(PROGRAM) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        spi = spi_of(lab)
        told = await commands_of(lab).dummy(spi, count="3", octets="100")
        assert told == {"event": "dummies", "spi": spi, "sent": 3, "octets": 100}
        while drops(lab.right).get("DUMMY", 0) < 3:
            lab.wire.deliver()
            await asyncio.sleep(0)
        assert drops(lab.right)["DUMMY"] == 3
        assert await passes(lab, lab.left, lab.right)


@pytest.mark.parametrize(
    "asked", [{"count": "0"}, {"count": "1001"}, {"count": "-1"}, {"octets": "1401"}]
)
async def test_a_command_that_is_out_of_range_names_what_is_accepted(asked: dict[str, str]) -> None:
    async with running_lab(PROGRAM) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        with pytest.raises(CommandError, match="accepted: 1"):
            await commands_of(lab).dummy(spi_of(lab), **asked)


async def test_packets_of_any_size_look_the_same_on_the_wire() -> None:
    change = Change(sa={"grace": 0.0, "tfc": 1000})
    async with running_lab(PROGRAM, change) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        seen: list[bytes] = []
        lab.wire.on_wire = lambda frame: seen.append(frame) or frame
        for size in (0, 1, 100, 900):
            assert await passes(lab, lab.left, lab.right, bytes(size))
        lengths = [len(frame) for frame in seen if is_esp(frame)]
        assert len(lengths) == 4
        assert set(lengths) == {14 + 20 + 8 + 8 + 1000 + 2 + 2 + 16}


def tfc_of(record: SaRecord, **settings: Any) -> int:
    entries = pair_entries(record, Handles(1, 2), 1, SaSettings(**settings))
    return entries.outbound.arg("tfc_len")


def test_who_takes_no_padding_gets_none_and_only_tunnels_have_any() -> None:
    plain = record()
    assert tfc_of(plain) == 0
    assert tfc_of(plain, tfc=700) == 700
    assert tfc_of(replace(plain, child=replace(plain.child, tfc=False)), tfc=700) == 0
    host = replace(plain.child, mode=Mode.TRANSPORT, local_ts=one(LEFT), remote_ts=one(RIGHT))
    assert tfc_of(replace(plain, child=host), tfc=700) == 0
