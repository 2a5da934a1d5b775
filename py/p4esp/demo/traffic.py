"""A thousand packets of mixed sizes, compared octet by octet.

Compared is the whole inner IPv4 packet as it leaves the far gateway against what the host sent.
Two fields must differ, and exactly so: the TTL is lower by two, because each gateway forwards the
packet once (RFC 4301 5.1.2), and the header checksum is that of the changed header.
"""

import asyncio
import random
import time
from dataclasses import replace
from typing import Final

from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet, Ipv4, PacketError, Udp
from p4esp.demo.facts import Traffic
from p4esp.demo.lab import Lab
from p4esp.demo.plan import INSIDE
from p4esp.demo.site import Site

HOPS: Final = 2
BURST: Final = 50
"""Packets sent before the event loop gets a turn."""
_SIZES: Final = (29, 64, 128, 256, 512, 1024, 1280, 1400)


def host_packet(source: Site, target: Site, payload: bytes, number: int = 0) -> Ipv4:
    """A UDP packet from host to host; `number` goes into its identification field."""
    packet = Udp(40000, 40001, payload).over(source.plan.host, target.plan.host)
    return replace(packet, identification=number & 0xFFFF, tos=0x28)


def host_frame(source: Site, packet: Ipv4) -> bytes:
    """The packet as the host puts it on its link."""
    plan = source.plan
    return Ethernet(plan.mac(INSIDE), plan.host_mac, ETHERTYPE_IPV4, packet.build()).build()


def mixed_packets(source: Site, target: Site, count: int, rng: random.Random) -> list[Ipv4]:
    """Packets of usual and of random sizes with random contents."""
    sizes = [rng.choice((*_SIZES, rng.randint(29, 1400))) for _ in range(count)]
    return [
        host_packet(source, target, rng.randbytes(size - 28), number)
        for number, size in enumerate(sizes)
    ]


async def exchange(lab: Lab, source: Site, target: Site, packets: list[Ipv4]) -> Traffic:
    """Send packets from a host and compare what arrives at the other, in order."""
    wire = _WireTap(lab)
    started = time.perf_counter()
    received: list[bytes] = []
    for at in range(0, len(packets), BURST):
        for packet in packets[at : at + BURST]:
            source.host.send(host_frame(source, packet))
        await asyncio.sleep(0)
        lab.wire.deliver()
        received += target.host.receive()
    seconds = time.perf_counter() - started
    identical = sum(map(_is_forwarded, packets, received))
    sizes = [20 + len(packet.payload) for packet in packets]
    esp_frames = wire.esp_frames()
    return Traffic(
        direction=f"{source.plan.name} to {target.plan.name}",
        sent=len(packets),
        delivered=len(received),
        identical=identical,
        smallest=min(sizes),
        largest=max(sizes),
        esp_frames=len(esp_frames),
        esp_octets=sum(map(len, esp_frames)),
        seconds=round(seconds, 3),
    )


def _is_forwarded(sent: Ipv4, frame: bytes) -> bool:
    """Whether a frame carries the packet, changed as two forwarders must change it."""
    expected = replace(sent, ttl=sent.ttl - HOPS).build()
    return Ethernet.parse(frame).payload == expected


class _WireTap:
    """Takes down what travels on the wire from now on."""

    def __init__(self, lab: Lab) -> None:
        self._frames: list[bytes] = []
        self._lab = lab
        lab.wire.on_wire = self._see

    def _see(self, frame: bytes) -> bytes:
        self._frames.append(frame)
        return frame

    def esp_frames(self) -> list[bytes]:
        """ESP packets seen; from now on none is taken down."""
        self._lab.wire.on_wire = lambda frame: frame
        return [frame for frame in self._frames if is_esp(frame)]


def is_esp(frame: bytes) -> bool:
    """Whether a frame holds ESP directly over IPv4."""
    try:
        return Ipv4.parse(Ethernet.parse(frame).payload).protocol == 50
    except PacketError:
        return False
