"""The two directions of a tunnel as a test sees them: the SA in the switch and its peer.

The peer is scapy's ipsec layer.  Only what scapy cannot make (sequence number zero, an IV that
differs, a trailer with a defect) is made by ``harness.esp``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scapy.layers.inet import IP
from scapy.layers.ipsec import ESP, SecurityAssociation

from harness import esp, frames
from harness.esp import Key
from harness.gateway import Gateway, PacketOut
from harness.ids import Op
from harness.sa import InboundSa, OutboundSa, cells_for
from harness.topology import GATEWAY, PEER, UNPROTECTED

NAT_T = (4500, 4500)


def _scapy_peer(spi: int, key: Key, src: str, dst: str, *, esn: bool) -> SecurityAssociation:
    return SecurityAssociation(
        ESP,
        spi=spi,
        crypt_algo="CHACHA20-POLY1305" if key.chacha else "AES-GCM",
        crypt_key=key.secret + key.salt,
        tunnel_header=IP(src=src, dst=dst),
        esn_en=esn,
    )


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
            return self.esp_by_hand(seq, esp.with_trailer(packet))
        peer = _scapy_peer(self.sa.spi, self.key, PEER, GATEWAY, esn=self.sa.esn)
        iv = seq.to_bytes(8)
        sealed = peer.encrypt(IP(packet), seq_num=low, iv=iv, esn=high)
        return bytes(sealed[ESP])

    def esp_by_hand(self, seq: int, plaintext: bytes, iv: bytes | None = None) -> bytes:
        """``plaintext`` ends in its trailer."""
        return esp.protect(self.key, self.sa.spi, seq, plaintext, esn=self.sa.esn, iv=iv)

    def frame(self, seq: int, packet: bytes, *, port: int = UNPROTECTED, **outer: Any) -> bytes:
        """The frame that carries ``packet`` to us."""
        return frames.ethernet(port, frames.outer(self.esp(seq, packet), **outer))

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
        received = IP(packet)
        if self.sa.udp is not None:
            received = IP(packet[:9] + b"\x32" + packet[10:20] + packet[28:])
            received.len = len(packet) - 8
        return bytes(peer.decrypt(received, esn=seq_high))

    def last(self) -> int:
        """Last sequence number that the switch has sent."""
        return self.gateway.read(Op.READ_SEQ, self.sa.space)

    def advance(self, seq: int) -> None:
        """Makes ``seq`` the last one sent."""
        self.gateway.control(Op.ADVANCE_SEQ, self.sa.space, seq)
