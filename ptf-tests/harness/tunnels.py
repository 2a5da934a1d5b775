"""The two directions of a tunnel as a test sees them: the SA in the switch and its peer.

The peer is scapy's ipsec layer.  Only what scapy cannot make (sequence number zero, an IV that
differs, a trailer with a defect) is made by ``harness.esp``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation

from harness import esp, frames
from harness.esp import Key
from harness.gateway import Gateway, PacketOut
from harness.ids import Op
from harness.sa import InboundSa, OutboundSa, cells_for
from harness.topology import GATEWAY, GATEWAY6, PEER, PEER6, UNPROTECTED

NAT_T = (4500, 4500)


def _scapy_peer(spi: int, key: Key, src: str, dst: str, *, esn: bool) -> SecurityAssociation:
    return SecurityAssociation(
        ESP,
        spi=spi,
        crypt_algo="CHACHA20-POLY1305" if key.chacha else "AES-GCM",
        crypt_key=key.secret + key.salt,
        tunnel_header=(IPv6 if ":" in src else IP)(src=src, dst=dst),
        esn_en=esn,
    )


def parsed(packet: bytes) -> IP | IPv6:
    """What scapy makes of a packet."""
    return IPv6(packet) if packet[0] >> 4 == 6 else IP(packet)


def without_udp(packet: bytes) -> IP | IPv6:
    """An ESP packet that was sent inside UDP, as if it had not been."""
    if packet[0] >> 4 == 6:
        plain6 = IPv6(packet[:6] + b"\x32" + packet[7:40] + packet[48:])
        plain6.plen = len(packet) - 48
        return plain6
    plain = IP(packet[:9] + b"\x32" + packet[10:20] + packet[28:])
    plain.len = len(packet) - 8
    return plain


@dataclass(slots=True)
class InboundTunnel:
    """ESP towards the gateway."""

    gateway: Gateway
    sa: InboundSa
    key: Key

    def esp(self, seq: int, packet: bytes) -> bytes:
        """``packet`` sealed by scapy, from SPI to ICV; ``seq`` is the full number, not zero."""
        high, low = divmod(seq, 1 << 32)
        if low == 0:  # scapy would take a counter of its own
            next_header = 41 if packet[0] >> 4 == 6 else 4
            return self.esp_by_hand(seq, esp.with_trailer(packet, next_header))
        src, dst = (PEER6, GATEWAY6) if self.sa.outer_v6 else (PEER, GATEWAY)
        peer = _scapy_peer(self.sa.spi, self.key, src, dst, esn=self.sa.esn)
        iv = seq.to_bytes(8)
        sealed = peer.encrypt(parsed(packet), seq_num=low, iv=iv, esn=high)
        return bytes(sealed[ESP])

    def esp_by_hand(self, seq: int, plaintext: bytes, iv: bytes | None = None) -> bytes:
        """``plaintext`` ends in its trailer."""
        return esp.protect(self.key, self.sa.spi, seq, plaintext, esn=self.sa.esn, iv=iv)

    def frame(self, seq: int, packet: bytes, *, port: int = UNPROTECTED, **outer: Any) -> bytes:
        """The frame that carries ``packet`` to us."""
        return frames.ethernet(port, self.around(self.esp(seq, packet), **outer))

    def around(self, sealed: bytes, **outer: Any) -> bytes:
        """The tunnel packet around ``sealed``, of the family in which the peer reaches us."""
        return (frames.outer6 if self.sa.outer_v6 else frames.outer)(sealed, **outer)

    def top(self) -> int:
        """Highest authenticated sequence number that the switch remembers."""
        return self.gateway.read(Op.READ_TOP, self.sa.space)

    def cells(self) -> list[int]:
        """The replay cells of the SA."""
        first = self.sa.cell_base
        indices = range(first, first + cells_for(self.sa.window))
        reads = [PacketOut(Op.READ_CELL, index=index) for index in indices]
        return [answer.value for answer in self.gateway.exchange(reads).packet_ins]


@dataclass(slots=True)
class OutboundTunnel:
    """ESP from the gateway."""

    gateway: Gateway
    sa: OutboundSa
    key: Key

    def open(self, packet: bytes, *, seq_high: int = 0) -> bytes:
        """The inner packet of an ESP or UDP-encapsulated packet, checked by scapy."""
        peer = _scapy_peer(self.sa.spi, self.key, self.sa.src, self.sa.dst, esn=self.sa.esn)
        received = parsed(packet) if self.sa.udp is None else without_udp(packet)
        return bytes(peer.decrypt(received, esn=seq_high))

    def last(self) -> int:
        """Last sequence number that the switch has sent."""
        return self.gateway.read(Op.READ_SEQ, self.sa.space)

    def advance(self, seq: int) -> None:
        """Makes ``seq`` the last one sent."""
        self.gateway.control(Op.ADVANCE_SEQ, self.sa.space, seq)
