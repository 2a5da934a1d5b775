"""Two gateways in memory, and good packets of every kind to start from.

East is attacked. West is its peer: it makes what comes in, and opens what goes out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from gateway_bed import CPU_PORT, CRYPTO_PORT, packet_out
from gateway_packets import Packet, Packet4, Packet6, checksum, extension, frame, tcp, udp
from gateway_pair import (
    CLEAR,
    EAST,
    FORBIDDEN,
    OWN_MAC,
    PROTECTED_PORT,
    TUNNEL,
    UNPROTECTED_PORT,
    WEST,
    Gateway,
    Sa,
    every_kind,
    gateway4,
    gateway6,
    host4,
    host6,
    key_spec,
    other,
)

from p4esp.engine import Direction, Engine
from p4esp.engine.datapath import OnSealed

PROTOCOLS = (1, 6, 17, 47, 58, 132, 253)
CHAINS = ((), (0,), (60,), (0, 60), (60, 43), (43,), (44,), (43, 60), (0, 60, 43, 44))
BASE = 46
ESP_PING = bytes.fromhex("000000070000000002000004beef000170696e67")
SEQ_AT = BASE - 24


@dataclass(frozen=True, slots=True)
class Stimulus:
    """A frame for a port of east; ``kind`` says what it was made from."""

    kind: str
    port: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Insider:
    """A request to seal a good packet, of which the peer may make what it likes: it has the key."""

    sa: Sa
    request: bytes


class World:
    """Both gateways, and the pool of good packets; the same for the same seed."""

    EACH = 3
    """Packets of each SA and direction in the pool."""

    def __init__(self, seed: int, on_sealed: OnSealed | None = None) -> None:
        self._rng = random.Random(f"world {seed}")
        sas = every_kind()
        self.west = Gateway(WEST, sas, self._rng.randbytes)
        self.east = Gateway(EAST, sas, self._rng.randbytes, on_sealed)
        self._peer = Engine(self._rng.randbytes)
        specs = [key_spec(sa, WEST, Direction.SEAL) for sa in sas]
        self._peer_keys = {spec.sa_index: self._peer.install(spec) for spec in specs}
        self._peer_seq = 1 << 20
        self.insiders: list[Insider] = []
        self.pool: dict[str, list[Stimulus]] = {}
        for stimulus in self._good():
            self.pool.setdefault(stimulus.kind, []).append(stimulus)

    # --- the pool ----------------------------------------------------------------------------

    def _good(self) -> Iterator[Stimulus]:
        for sa in self.east.sas:
            for _ in range(self.EACH):
                yield from self._outbound(sa)
                yield from self._inbound(sa)
        yield from self._others()
        yield from self._packet_outs()

    def _outbound(self, sa: Sa) -> Iterator[Stimulus]:
        clear = self._clear(EAST, sa)
        yield Stimulus("clear", PROTECTED_PORT, clear)
        ((_, request),) = self.east.send(PROTECTED_PORT, clear)
        yield Stimulus("request", CRYPTO_PORT, request)
        yield Stimulus("sealed", CRYPTO_PORT, processed(self.east.engine, request))

    def _inbound(self, sa: Sa) -> Iterator[Stimulus]:
        ((_, request),) = self.west.send(PROTECTED_PORT, self._clear(WEST, sa))
        self.insiders.append(Insider(sa, request))
        wire = outside(processed(self.west.engine, request)[BASE:])
        yield Stimulus("wire", UNPROTECTED_PORT, wire)
        ((_, opening),) = self.east.send(UNPROTECTED_PORT, wire)
        yield Stimulus("request", CRYPTO_PORT, opening)
        yield Stimulus("opened", CRYPTO_PORT, processed(self.east.engine, opening))

    def _clear(self, side: int, sa: Sa) -> bytes:
        return frame(OWN_MAC + PROTECTED_PORT, self._packet(side, sa).octets())

    def _packet(self, side: int, sa: Sa) -> Packet:
        rng = self._rng
        host = rng.randint(1, 200) if sa.mode == TUNNEL else 5
        protocol = rng.choice(PROTOCOLS)
        payload = self._payload(protocol)
        if sa.inner == 4:
            ends = host4(side, sa.number, host), host4(other(side), sa.number, host)
            options = rng.randbytes(4 * rng.choice((0, 0, 0, 1, 2, 10)))
            fragment = rng.choice((0, 0, 0x2000, 9)) if sa.mode == TUNNEL else 0
            flags = fragment or rng.choice((0, 0x4000))
            tos, ident, hops = rng.getrandbits(8), rng.getrandbits(16), rng.randint(3, 255)
            return Packet4(*ends, protocol, payload, tos, ident, flags, hops, options)
        ends = host6(side, sa.number, host), host6(other(side), sa.number, host)
        kinds = [kind for kind in rng.choice(CHAINS) if kind != 44 or sa.mode == TUNNEL]
        chain = [extension(kind, rng.randint(0, 2), rng.randbytes(6)) for kind in kinds]
        # With 255 hops, chance may make it neighbour discovery, which the controller gets.
        label, hops = rng.getrandbits(20), rng.randint(3, 254)
        return Packet6(*ends, protocol, payload, rng.getrandbits(8), label, hops, chain)

    def _payload(self, protocol: int) -> bytes:
        data = self._rng.randbytes(self._rng.choice((1, 2, 3, 4, 20, 64, 200)))
        ports = self._rng.choice((53, 500, 4500, 1024)), self._rng.choice((53, 500, 4500, 1024))
        if protocol == 17:
            return udp(*ports, data)
        return tcp(*ports, data) if protocol == 6 else self._rng.randbytes(12) + data

    def _others(self) -> Iterator[Stimulus]:
        inside, outer = OWN_MAC + PROTECTED_PORT, OWN_MAC + UNPROTECTED_PORT
        for net in (CLEAR, FORBIDDEN, 252):
            for side, mac, port in (
                (EAST, inside, PROTECTED_PORT),
                (WEST, outer, UNPROTECTED_PORT),
            ):
                for packet in (
                    Packet4(host4(side, net), host4(other(side), net), 17, udp(53, 54, b"clear 4")),
                    Packet6(host6(side, net), host6(other(side), net), 17, udp(53, 54, b"clear 6")),
                ):
                    yield Stimulus("other", port, frame(mac, packet.octets()))
        ike = bytes(range(1, 17)) + bytes.fromhex("21202208000000010000001c") + bytes(20)
        for content in (
            udp(500, 500, ike),
            udp(4500, 4500, bytes(4) + ike),
            udp(4500, 4500, b"\xff"),
        ):
            yield from self._to_gateway(17, content)
        for content in (
            b"\x03\x04\0\0\0\0\x05\x00",
            b"\x02\0\0\0\0\0\x05\x00",
            b"\x08\0\0\0\0\1\0\1",
        ):
            yield from self._to_gateway(1, content + bytes(40))
            yield from self._to_gateway(58, content + bytes(40))
        discovery = Packet6(1, gateway6(EAST), 58, bytes([135, 0]) + bytes(22), hops=255)
        for port in (PROTECTED_PORT, UNPROTECTED_PORT):
            yield Stimulus("other", port, frame(OWN_MAC + port, discovery.octets()))
            arp = (
                b"\xff" * 6 + bytes(6) + b"\x08\x06" + bytes.fromhex("0001080006040001") + bytes(20)
            )
            yield Stimulus("other", port, arp)

    def _to_gateway(self, protocol: int, content: bytes) -> Iterator[Stimulus]:
        for packet in (
            Packet4(gateway4(WEST), gateway4(EAST), protocol, content),
            Packet6(gateway6(WEST), gateway6(EAST), protocol, content),
        ):
            for port in (PROTECTED_PORT, UNPROTECTED_PORT):
                yield Stimulus("other", port, frame(OWN_MAC + port, packet.octets()))

    def _packet_outs(self) -> Iterator[Stimulus]:
        ike = udp(500, 500, bytes(40))
        for packet in (
            Packet4(gateway4(EAST), gateway4(WEST), 17, ike),
            Packet6(gateway6(EAST), gateway6(WEST), 17, ike),
            Packet4(gateway4(EAST), host4(EAST, 3), 1, b"\x0b\0\0\0" + bytes(32)),
            Packet6(gateway6(EAST), host6(EAST, 3), 58, b"\x03\0\0\0" + bytes(48)),
            Packet4(host4(EAST, CLEAR), host4(WEST, CLEAR), 17, udp(53, 54, b"clear")),
            Packet4(gateway4(EAST), gateway4(WEST), 50, ESP_PING),
            Packet6(gateway6(EAST), gateway6(WEST), 50, ESP_PING),
        ):
            octets = frame(0, packet.octets())
            yield Stimulus("out", CPU_PORT, packet_out(2, octets))
            yield Stimulus("out", CPU_PORT, packet_out(1, octets, port=self._rng.randint(0, 1)))
        for kind in ("clear", "wire", "other"):
            for stimulus in self._rng.sample(self.pool[kind], 12):
                yield Stimulus("out", CPU_PORT, packet_out(3, stimulus.data, port=stimulus.port))
        for sa in self.east.sas:
            dummy = frame(0, self._rng.randbytes(40))
            yield Stimulus("out", CPU_PORT, packet_out(4, dummy, index=sa.number))
            echo = frame(0, bytes.fromhex("02000004beef000170696e67"))
            yield Stimulus("out", CPU_PORT, packet_out(5, echo, index=sa.number))
        for op in (16, 17, *range(19, 24)):
            index, value = self._rng.randint(0, 70), self._rng.randint(0, 20)
            yield Stimulus("out", CPU_PORT, packet_out(op, token=7, index=index, value=value))

    # --- what only somebody with the key can make ----------------------------------------------

    def next_number(self) -> int:
        """A sequence number ahead of all that the peer has used, on whichever SA."""
        self._peer_seq += 1
        return self._peer_seq

    def sealed_by_peer(
        self, insider: Insider, text: bytes, next_header: int, own: bool
    ) -> Stimulus:
        """``text`` in an authentic packet with a fresh number; ``own``: it has its own trailer."""
        seq = self.next_number()
        request = bytearray(insider.request)
        iv_len, ct_off = request[40], request[41]
        request[15] &= 0xF5 if own else 0xF7
        request[17] = next_header
        request[37] = 0  # no UDP checksum, which nobody looks at
        request[18:22] = self._peer_keys[insider.sa.number].to_bytes(4, "big")
        request[22:30] = seq.to_bytes(8, "big")
        request[42:44] = len(text).to_bytes(2, "big")
        head = bytes(request[: BASE + ct_off - iv_len - 4])
        number = (seq & 0xFFFFFFFF).to_bytes(4, "big")
        iv = seq.to_bytes(16, "big")[16 - iv_len :]
        reply = processed(self._peer, head + number + iv + text)
        assert reply[16] == 0, reply
        return Stimulus("insider", UNPROTECTED_PORT, outside(with_lengths(reply[BASE:])))


def processed(engine: Engine, request: bytes) -> bytes:
    """What an engine replies, which it must."""
    reply = engine.process(request)
    assert reply is not None
    return reply


def outside(packet: bytes) -> bytes:
    """A packet as it reaches an unprotected port."""
    return frame(OWN_MAC + UNPROTECTED_PORT, packet)


def with_lengths(packet: bytes) -> bytes:
    """An ESP packet whose IP and UDP lengths are those of its octets."""
    octets = bytearray(packet)
    if octets[0] >> 4 == 4:
        octets[2:4] = len(octets).to_bytes(2, "big")
        layer4 = (octets[0] & 15) * 4
        if octets[9] == 17:
            octets[layer4 + 4 : layer4 + 6] = (len(octets) - layer4).to_bytes(2, "big")
        return with_checksum(bytes(octets), 0)
    octets[4:6] = (len(octets) - 40).to_bytes(2, "big")
    if octets[6] == 17:
        octets[44:46] = (len(octets) - 40).to_bytes(2, "big")
    return bytes(octets)


def with_checksum(octets: bytes, at: int) -> bytes:
    """The same with a good IPv4 checksum, if a whole IPv4 header begins there."""
    end = at + (octets[at] & 15) * 4 if len(octets) > at else 0
    if end < at + 20 or end > len(octets) or octets[at] >> 4 != 4:
        return octets
    value = checksum(octets[at : at + 10] + b"\0\0" + octets[at + 12 : end])
    return octets[: at + 10] + value.to_bytes(2, "big") + octets[at + 12 :]
