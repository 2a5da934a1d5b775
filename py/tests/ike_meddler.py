"""An attacker in the middle of the IKE lab, and what one sees who knows the keys. The key schedule
here is made of nothing but HMAC, as the RFCs write it.
"""

import hmac
import os
from collections.abc import Callable
from dataclasses import replace

from ike_lab import EAST, Lab, Node, toward

from p4esp.ike.codec.message import PayloadSet, encode_clear, parse_message
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Nonce, Notify
from p4esp.ike.path import Datagram
from p4esp.ike.protection import Protection

Change = Callable[[Datagram], bytes]


class Meddler(Lab):
    """A lab on whose wire each datagram may be changed. `wire` has them as they were sent."""

    change: Change = staticmethod(lambda datagram: datagram.data)

    def deliver(self, datagram: Datagram) -> None:
        super().deliver(replace(datagram, data=self.change(datagram)))


def malformed(kind: int) -> dict[str, list[Notify]]:
    """What is wrong about a notify that has to be empty, of no SA, and there once."""
    return {
        "data": [Notify(kind, b"\0")],
        "protocol": [Notify(kind, protocol=3)],
        "spi": [Notify(kind, protocol=3, spi=bytes(4))],
        "twice": [Notify(kind), Notify(kind)],
    }


def rewritten(data: bytes, change: Callable[[AnyPayload], AnyPayload | None]) -> bytes:
    """A message in clear with its payloads changed; None: left out."""
    message = parse_message(data)
    payloads = [change(payload) for payload in message.clear.payloads]
    return encode_clear(message.header, [one for one in payloads if one is not None])


def without(data: bytes, *kinds: int) -> bytes:
    """A message in clear without some notifies."""
    return rewritten(data, lambda payload: None if _is_one(payload, kinds) else payload)


def _is_one(payload: AnyPayload, kinds: tuple[int, ...]) -> bool:
    return isinstance(payload, Notify) and payload.type in kinds


def exchange(datagram: Datagram) -> int:
    return datagram.data[18]


def protection(node: Node, stage: int, *, of_west: bool) -> Protection:
    """Opens what one end sends under the keys of a stage; seals what the other does."""
    *_, suite, keys = node.keys[stage]
    return Protection(suite.cipher, keys, not of_west, os.urandom)


def opened(lab: Lab, datagram: Datagram, stage: int) -> PayloadSet:
    """What is in a protected message, under the keys of a stage of the IKE SA's life."""
    of_west = toward(EAST, datagram)
    return protection(lab.west, stage, of_west=of_west).open(parse_message(datagram.data))


def sent(lab: Lab, kind: int, *, response: bool = False) -> list[Datagram]:
    """Datagrams of an exchange, requests or responses."""
    found = [datagram for _, datagram in lab.wire if exchange(datagram) == kind]
    return [one for one in found if parse_message(one.data).header.response is response]


def init_nonces(lab: Lab) -> tuple[bytes, bytes]:
    """Ni and Nr."""
    (request,), (response,) = sent(lab, 34), sent(lab, 34, response=True)
    ni, nr = (parse_message(one.data).clear.one(Nonce).data for one in (request, response))
    return ni, nr


def prf(key: bytes, data: bytes) -> bytes:
    """PRF_HMAC_SHA2_256."""
    return hmac.digest(bytes(key), data, "sha256")


def prf_plus(key: bytes, seed: bytes, size: int) -> bytes:
    """RFC 7296 2.13."""
    stream = block = b""
    for number in range(1, 256):
        if len(stream) >= size:
            break
        block = prf(key, block + seed + bytes([number]))
        stream += block
    return stream[:size]


def seven(keys: object) -> bytes:
    """All keys of an IKE SA in the order in which they are derived."""
    return b"".join(
        bytes(getattr(keys, name)) for name in ("d", "ai", "ar", "ei", "er", "pi", "pr")
    )
