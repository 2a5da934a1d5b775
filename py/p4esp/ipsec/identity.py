"""Peer identities as the peer authorization database names them (RFC 4301 4.4.3, RFC 7296 3.5)."""

import ipaddress
from dataclasses import dataclass
from enum import IntEnum
from typing import Self


class IdType(IntEnum):
    """ID types of RFC 7296 3.5 and RFC 7619."""

    IPV4_ADDR = 1
    FQDN = 2
    RFC822_ADDR = 3
    IPV6_ADDR = 5
    DER_ASN1_DN = 9
    DER_ASN1_GN = 10
    KEY_ID = 11
    FC_NAME = 12
    NULL = 13


_TEXT = (IdType.FQDN, IdType.RFC822_ADDR)
_ADDRESS_SIZE: dict[int, int] = {IdType.IPV4_ADDR: 4, IdType.IPV6_ADDR: 16}


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity: its type number (unknown numbers are kept) and raw data."""

    type: int
    data: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an identity as operators write it.

        An address is an address; `a@b` is a mailbox; `@#` plus hex digits is a key id; anything
        else (with or without a leading `@`) is a domain name.
        """
        if text.startswith("@#"):
            return cls(IdType.KEY_ID, bytes.fromhex(text[2:]))
        address = _address(text)
        if address is not None:
            kind = IdType.IPV4_ADDR if address.version == 4 else IdType.IPV6_ADDR
            return cls(kind, address.packed)
        if "@" in text[1:]:
            return cls(IdType.RFC822_ADDR, text.encode())
        return cls(IdType.FQDN, text.removeprefix("@").encode())

    def __str__(self) -> str:
        text = self.data.decode("ascii", "replace")
        if self.type in _TEXT and text.isascii() and text.isprintable():
            return text
        if _ADDRESS_SIZE.get(self.type) == len(self.data):
            return str(ipaddress.ip_address(self.data))
        if self.type == IdType.KEY_ID:
            return f"@#{self.data.hex()}"
        return f"id-type-{self.type}:{self.data.hex()}"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
