"""What one gateway encapsulates the other restores: any packet, mode, family and wrapping."""

from __future__ import annotations

import random
from functools import lru_cache

import pytest
from gateway_bed import Packets, through
from gateway_packets import (
    DESTINATION,
    FRAGMENT,
    HOP_BY_HOP,
    ICMP,
    ICMPV6,
    ROUTING,
    TCP,
    UDP,
    Packet,
    Packet4,
    Packet6,
    extension,
    frame,
    tcp,
    udp,
)
from gateway_pair import (
    BEET_V4,
    EAST,
    OWN_MAC,
    PROTECTED_PORT,
    SITE_MAC,
    TRANSPORT,
    TUNNEL,
    UNPROTECTED_PORT,
    WEST,
    Gateway,
    Sa,
    every_kind,
    host4,
    host6,
)
from hypothesis import given, settings
from hypothesis import strategies as st

SAS = every_kind()
GRE, SCTP, EXPERIMENT = 47, 132, 253
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000


@lru_cache(maxsize=1)
def pair() -> tuple[Gateway, Gateway]:
    """West and east, with all SAs."""
    source = random.Random(1)
    west, east = (Gateway(side, SAS, source.randbytes) for side in (WEST, EAST))
    return west, east


def name(sa: Sa) -> str:
    """What is special about an SA."""
    mode = ("tunnel", "transport", "beet4", "beet6")[sa.mode]
    wrap = ("plain", "wesp", "visible")[sa.wrap]
    return f"{mode}-{sa.inner}in{sa.outer}-{wrap}{'-udp' if sa.udp else ''}-{sa.suite}"


# --- packets -------------------------------------------------------------------------------

numbers16 = st.integers(0, 0xFFFF)
octet = st.integers(0, 255)


def data(sa: Sa) -> st.SearchStrategy[bytes]:
    """A payload; what travels without a header of its own must not be empty (RFC 4303 2.6)."""
    return st.binary(min_size=0 if sa.mode == TUNNEL else 1, max_size=80) | st.integers(
        1, 1400
    ).map(lambda size: (bytes(range(256)) * 6)[:size])


def layer4(sa: Sa, icmp: int) -> st.SearchStrategy[tuple[int, bytes]]:
    """A protocol and the octets behind the IP header."""
    return st.one_of(
        st.builds(lambda *parts: (UDP, udp(*parts)), numbers16, numbers16, data(sa)),
        st.builds(lambda *parts: (TCP, tcp(*parts)), numbers16, numbers16, data(sa)),
        st.builds(lambda kind, rest: (icmp, bytes([kind, 0, 1, 2]) + rest), octet, data(sa)),
        st.tuples(st.sampled_from([GRE, EXPERIMENT]), data(sa)),
        st.tuples(st.just(SCTP), st.binary(min_size=12, max_size=40)),
    )


@st.composite
def packets4(draw: st.DrawFn, sa: Sa) -> Packet4:
    """IPv4 with any options, and in a tunnel any fragment."""
    host = draw(st.integers(1, 254)) if sa.mode == TUNNEL else 5
    protocol, payload = draw(layer4(sa, ICMP))
    flags = draw(st.sampled_from([0, DONT_FRAGMENT]))
    if sa.mode == TUNNEL and draw(st.booleans()):
        flags = draw(st.sampled_from([MORE_FRAGMENTS, MORE_FRAGMENTS | 3, 100]))
    return Packet4(
        *(host4(WEST, sa.number, host), host4(EAST, sa.number, host), protocol, payload),
        *(draw(octet), draw(numbers16), flags, draw(st.integers(3, 255))),
        draw(st.integers(0, 10).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))),
    )


@st.composite
def packets6(draw: st.DrawFn, sa: Sa) -> Packet6:
    """IPv6 with extension headers in the order of RFC 8200 4.1."""
    host = draw(st.integers(1, 0xFFFF)) if sa.mode == TUNNEL else 5
    protocol, payload = draw(layer4(sa, ICMPV6))
    fragments = [FRAGMENT] if sa.mode == TUNNEL else []
    kinds = (HOP_BY_HOP, DESTINATION, ROUTING, *fragments, DESTINATION)
    chosen = [kind for kind in kinds if draw(st.booleans())]
    if DESTINATION in chosen and ROUTING not in chosen:
        chosen = [kind for kind in chosen if kind != DESTINATION] + [DESTINATION]
    if FRAGMENT in chosen:  # behind a later fragment's header, nobody knows what options hide
        chosen = chosen[: chosen.index(FRAGMENT) + 1]
    fill = st.binary(min_size=6, max_size=22)
    chain = tuple(extension(kind, draw(st.integers(0, 2)), draw(fill)) for kind in chosen)
    most_hops = 254 if protocol == ICMPV6 else 255  # neighbour discovery never leaves its link
    return Packet6(
        *(host6(WEST, sa.number, host), host6(EAST, sa.number, host), protocol, payload),
        *(draw(octet), draw(st.integers(0, 0xFFFFF)), draw(st.integers(3, most_hops)), chain),
    )


def packets(sa: Sa) -> st.SearchStrategy[Packet]:
    """Whatever the SA may carry from west to east."""
    return packets4(sa) if sa.inner == 4 else packets6(sa)


# --- what must come of them ----------------------------------------------------------------


def restored(sa: Sa, packet: Packet) -> bytes:
    """Two hops later. BEET sends no header of the inner packet: what the outer one has no room
    for is lost (RFC 7402 B.1.6)."""
    if isinstance(packet, Packet6):
        label = {"label": 0} if sa.mode not in (TUNNEL, TRANSPORT) and sa.outer == 4 else {}
        return packet.later(2, **label).octets()
    if sa.mode != BEET_V4:
        return packet.later(2).octets()
    if sa.outer == 6:
        return packet.later(2, ident=0, flags=DONT_FRAGMENT).octets()
    return packet.later(2).octets()


def carried(packet: Packet) -> tuple[Packets, Packets]:
    """What leaves west, and what of that leaves east."""
    west, east = pair()
    clear = frame(OWN_MAC + PROTECTED_PORT, packet.octets())
    (wire,) = through(west, PROTECTED_PORT, [clear], west.engine.process)
    inward = [(OWN_MAC + UNPROTECTED_PORT).to_bytes(6, "big") + out[6:] for _, out in wire]
    delivered: Packets = []
    for leaving in through(east, UNPROTECTED_PORT, inward, east.engine.process):
        delivered += leaving
    return wire, delivered


@pytest.mark.parametrize("sa", SAS, ids=name)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_is_sealed_comes_out_as_it_went_in(sa: Sa, data: st.DataObject) -> None:
    """Octet by octet but for the hops."""
    packet = data.draw(packets(sa))
    wire, delivered = carried(packet)
    assert [port for port, _ in wire] == [UNPROTECTED_PORT]
    mac = OWN_MAC + PROTECTED_PORT
    assert delivered == [(PROTECTED_PORT, frame(SITE_MAC, restored(sa, packet), mac))]


@pytest.mark.parametrize("sa", SAS, ids=name)
def test_nothing_of_the_payload_shows_on_the_wire(sa: Sa) -> None:
    """Unless the suite says so."""
    secret = b"the payload of this packet"
    packet: Packet = (
        Packet4(*sa.hosts(WEST), EXPERIMENT, secret)
        if sa.inner == 4
        else Packet6(*sa.hosts(WEST), EXPERIMENT, secret)
    )
    wire, delivered = carried(packet)
    assert (len(wire), len(delivered)) == (1, 1)
    assert (secret in wire[0][1]) == sa.suite.startswith(("AES-GMAC", "NULL"))
    assert secret in delivered[0][1]
