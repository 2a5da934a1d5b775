"""A sealing and an opening gateway, each a switch and an engine of this process."""

from __future__ import annotations

import random
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from p4esp.controller.numbers import CPU_PORT, CRYPTO_PORT, OUT_ECHO, Drop, Punt
from p4esp.engine import Direction, Engine, KeySpec
from p4esp.engine.attach import attach_engine
from p4esp.engine.subkeys import HKDF_SHA2_256
from p4esp.formats_lab import sas
from p4esp.formats_lab.errors import LabError
from p4esp.formats_lab.sas import LabSa
from p4esp.formats_lab.writing import Entry, write
from p4esp.ipsec.formats.model import UDP_OCTETS
from p4esp.switch.device import Device
from p4esp.switch.trace import Recorder

Tap = Callable[[bytes, bytes | None], None]
"""Is shown each request to an engine with its reply."""

BURST = 32
ETHERNET = 14
PROTOCOL_AT = 9
UDP = 17
PSP_MASTERS = "PSP-AES-GCM-128"
_IPV4 = struct.Struct("!BBHHHBBHII")
_PACKET_OUT = struct.Struct("!BBHIIQ")
"""Of p4src/common/headers.p4: operation, status, port, token, index, value; packet-in is alike."""


class Gateway:
    """One gateway; `leaves` are the ports whose packets `carry` returns."""

    def __init__(self, program: Path, direction: Direction, leaves: Sequence[int]) -> None:
        self.device = Device(time.monotonic_ns, random.Random(1))
        self.device.load(program.read_bytes())
        self._engine, self._direction = Engine(), direction
        self._left: list[bytes] = []
        attach_engine(self.device, CRYPTO_PORT, self._engine.process)
        for port in leaves:
            self.listen(port)

    def listen(self, port: int) -> None:
        """`carry` returns what leaves by a port, too."""
        self.device.attach_burst(port, self._take)

    def restart(self) -> None:
        """Begin anew with empty tables and no keys."""
        self.device.restart()
        self._engine = Engine()
        attach_engine(self.device, CRYPTO_PORT, self._engine.process)

    def write(self, entries: Iterable[Entry]) -> None:
        """Fill its tables."""
        write(self.device, entries)

    def install(self, sa: LabSa) -> int:
        """Give the engine the key of an SA, a root of sub keys, or master keys; the handle."""
        subs = sa.subs if sa.key_each else 0
        masters = sa.has_masters and self._direction is Direction.OPEN
        return self._engine.install(
            KeySpec(
                *(self._direction, PSP_MASTERS if masters else sa.transform, sa.key),
                *(b"" if subs or masters else sa.salt, sas.GENERATION, sa.number),
                subs=subs,
                kdf=HKDF_SHA2_256 if subs else "",
            )
        )

    def handed_out(self, sa: LabSa, masters: int) -> LabSa:
        """The SA as its sender gets it, with the key of the SPI."""
        key = self._engine.derive(masters, sa.spi)
        return replace(sa, key=key, salt=sa.spi.to_bytes(4))

    @contextmanager
    def watched(self, recorder: Recorder, tap: Tap) -> Iterator[None]:
        """Meanwhile the pipeline reports each step, and `tap` sees requests with their replies."""

        def answer(frame: bytes) -> bytes | None:
            reply = self._engine.process(frame)
            tap(frame, reply)
            return reply

        fast = self.device.process
        self.device.process = self.device.traced(recorder)
        try:
            with self._answered_by(answer):
                yield
        finally:
            self.device.process = fast

    @contextmanager
    def changing(self, change: Callable[[bytes], bytes]) -> Iterator[None]:
        """Meanwhile the engine is asked something else than the pipeline has asked."""
        with self._answered_by(lambda frame: self._engine.process(change(frame))):
            yield

    @contextmanager
    def _answered_by(self, answer: Callable[[bytes], bytes | None]) -> Iterator[None]:
        attach_engine(self.device, CRYPTO_PORT, answer)
        try:
            yield
        finally:
            attach_engine(self.device, CRYPTO_PORT, self._engine.process)

    def carry(self, port: int, frames: Sequence[bytes]) -> list[bytes]:
        """What comes out, in bursts as from a port on which several packets wait."""
        left: list[bytes] = []
        for start in range(0, len(frames), BURST):
            self._left = []
            self.device.inject_burst(port, frames[start : start + BURST])
            left += self._left
        return left

    def dropped(self) -> Counter[str]:
        """Packets that the pipeline dropped, by reason."""
        counters = self.device.counter_array("drops")
        return +Counter({reason.name: counters.read(reason).packets for reason in Drop})

    def drops(self) -> str:
        """The same in words."""
        return ", ".join(f"{name} {n}" for name, n in self.dropped().items()) or "none"

    def _take(self, frames: list[bytes]) -> None:
        self._left += frames


class Pair:
    """Both gateways with the same SAs."""

    def __init__(self, program: Path, pairs: Sequence[LabSa]) -> None:
        self.sealing = Gateway(program, Direction.SEAL, (sas.WIRE_PORT,))
        self.opening = Gateway(program, Direction.OPEN, sas.SITE_PORTS)
        self._fill(pairs)

    def restart(self, pairs: Sequence[LabSa]) -> None:
        """Begin anew with other SAs."""
        self.sealing.restart()
        self.opening.restart()
        self._fill(pairs)

    def _fill(self, pairs: Sequence[LabSa]) -> None:
        self.sealing.write(sas.sealing_base())
        self.opening.write(sas.opening_base())
        for sa in pairs:
            opener = self.opening.install(sa)
            self.opening.write(sas.opening_entries(sa, opener))
            sender = self.opening.handed_out(sa, opener) if sa.has_masters else sa
            self.sealing.write(sas.sealing_entries(sa, self.sealing.install(sender)))
            self.sealing.write(sas.way_out(sa))
            self.opening.write(sas.way_in(sa))

    def seal(self, frames: Sequence[bytes], port: int = 0) -> list[bytes]:
        """Frames of the site; LabError unless each leaves as one packet on the wire."""
        return self._all(self.sealing, port, frames)

    def open(self, frames: Sequence[bytes]) -> list[bytes]:
        """Frames of the wire; LabError unless each reaches the other site."""
        return self._all(self.opening, sas.WIRE_PORT, frames)

    def ping(self, sa: LabSa, content: bytes) -> bytes:
        """An encrypted ESP ping as it leaves; LabError unless the other controller is told its
        content.
        """
        frame = bytes(ETHERNET) + content
        request = _PACKET_OUT.pack(OUT_ECHO, 0, 0, 0, sa.number, 0) + frame
        (sealed,) = self._all(self.sealing, CPU_PORT, [request])
        self.opening.listen(CPU_PORT)
        (told,) = self._all(self.opening, sas.WIRE_PORT, [sealed])
        self.opening.device.detach(CPU_PORT)
        if told[0] != Punt.SEALED_ECHO or told[_PACKET_OUT.size + ETHERNET :] != content:
            raise LabError(f"the ping came out as {told.hex()}")
        return sealed

    def _all(self, gateway: Gateway, port: int, frames: Sequence[bytes]) -> list[bytes]:
        left = gateway.carry(port, frames)
        if len(left) != len(frames):
            raise LabError(f"{len(left)} of {len(frames)} came out; drops: {gateway.drops()}")
        return left


def site_frame(packet: bytes) -> bytes:
    """An inner packet of the site as the sealing gateway gets it: with one more hop to live."""
    link = sas.GATEWAY_MAC.to_bytes(6) + sas.SITE_MAC.to_bytes(6) + b"\x08\x00"
    return link + with_ttl(packet, packet[8] + 1)


def udp_packet(sa: LabSa, flow: int, octets: int, port: int = 53) -> bytes:
    """A UDP packet of `octets` octets to the host behind an SA."""
    sport = 1024 + flow
    if sa.compresses:
        sport, port = sa.rule.sport, sa.rule.dport
    udp = struct.pack("!HHHH", sport, port, octets - 20, 0)
    identification = int(not sa.compresses)
    ends = (int(sas.HOST), int(sa.remote))
    head = _IPV4.pack(0x45, 0, octets, identification, 0x4000, 64, 17, 0, *ends)
    data = bytes(place & 0xFF for place in range(octets - 28))
    return with_ttl(head + udp + data, 64)


def esp_of(frame: bytes) -> bytes:
    """What follows the outer IPv4 header of a frame on the wire, and UDP where there is one."""
    header = 4 * (frame[ETHERNET] & 0x0F)
    if frame[ETHERNET + PROTOCOL_AT] == UDP:
        header += UDP_OCTETS
    total = int.from_bytes(frame[ETHERNET + 2 : ETHERNET + 4])
    return frame[ETHERNET + header : ETHERNET + total]


def with_ttl(packet: bytes, ttl: int) -> bytes:
    """An IPv4 packet without options with another TTL, its checksum written anew."""
    head = packet[:8] + bytes((ttl, packet[9], 0, 0)) + packet[12:20]
    total = sum(int.from_bytes(head[at : at + 2]) for at in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + (~total & 0xFFFF).to_bytes(2) + head[12:] + packet[20:]
