"""Formats of ESP in every mode and family that they have, agreed on and carried by two gateways."""

import asyncio

import pytest
from family_lab import Shape, datagram, fewer_hops, ip_of, send
from format_lab import KEYS, keys_of, proposals_of, running_format_family_lab

from p4esp.ipsec.formats import format_named
from p4esp.ipsec.sa import Mode

SHAPES = {
    "tunnel over IPv6": Shape(6, (6,)),
    "both families in a tunnel over IPv4": Shape(4, (4, 6)),
    "transport": Shape(4, (4,), "transport"),
    "transport over IPv6": Shape(6, (6,), "transport"),
    "beet": Shape(4, (4,), "beet"),
    "beet of IPv6 over IPv4": Shape(4, (6,), "beet"),
}
ROUTERS = 2
"""Those at the ends of the tunnel, which every packet sees as such."""
PAIRS = [
    (name, what)
    for name in KEYS
    for what, shape in SHAPES.items()
    if Mode(shape.mode) in format_named(name).modes
]


@pytest.mark.parametrize(("name", "what"), PAIRS)
async def test_a_format_carries_what_its_mode_and_family_are_for(name: str, what: str) -> None:
    """Whole packets, but for the two routers on their way."""
    given = SHAPES[what]
    (proposal,) = proposals_of(name)
    shape = Shape(given.outer, given.inner, given.mode, proposal=proposal)
    async with running_format_family_lab(shape, keys_of(name)) as lab:
        await lab.tunnel_up()
        assert lab.live(lab.left).record.child.layout.format == name
        for source, target in (lab.sites, lab.sites[::-1]):
            for version in shape.inner:
                packet = datagram(source, target, version, bytes(range(100)))
                target.host.receive()
                send(source, packet)
                await asyncio.sleep(0)
                lab.wire.deliver()
                arrived = [bytes(ip_of(frame)) for frame in target.host.receive()]
                assert arrived == [fewer_hops(packet, ROUTERS)]
