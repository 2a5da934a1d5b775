"""Peer identities as the peer authorization database names them (RFC 4301 4.4.3, RFC 7296 3.5)."""

import ipaddress
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Self

from p4esp.ipsec import distinguished_name


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

        An address is an address; `a@b` is a mailbox; `@#` plus hex digits is a key id; `C=CH,
        CN=west` is a distinguished name in the order of the certificate; anything else (with or
        without a leading `@`) is a domain name.
        """
        if text.startswith("@#"):
            return cls(IdType.KEY_ID, bytes.fromhex(text[2:]))
        address = _address(text)
        if address is not None:
            kind = IdType.IPV4_ADDR if address.version == 4 else IdType.IPV6_ADDR
            return cls(kind, address.packed)
        if "=" in text:
            return cls(IdType.DER_ASN1_DN, distinguished_name.encode(text))
        if "@" in text[1:]:
            return cls(IdType.RFC822_ADDR, text.encode())
        return cls(IdType.FQDN, text.removeprefix("@").encode())

    def matches(self, other: Self) -> bool:
        """Whether both name the same: letter case does not count in domain names and mailboxes
        (RFC 4945 3.1.2), nor how a distinguished name encodes its text.
        """
        if self.type != other.type:
            return False
        if self.type == IdType.DER_ASN1_DN:
            return _same_name(self.data, other.data)
        if self.type in _TEXT:
            return self.data.lower() == other.data.lower()
        return self.data == other.data

    def normalised(self) -> Self:
        """The spelling that all matching domain names or mailboxes share."""
        return replace(self, data=self.data.lower()) if self.type in _TEXT else self

    def __str__(self) -> str:
        text = self.data.decode("ascii", "replace")
        if self.type in _TEXT and text.isascii() and text.isprintable():
            return text
        if _ADDRESS_SIZE.get(self.type) == len(self.data):
            return str(ipaddress.ip_address(self.data))
        if self.type == IdType.KEY_ID:
            return f"@#{self.data.hex()}"
        if self.type == IdType.DER_ASN1_DN and (name := _name(self.data)):
            return name
        if self.type == IdType.NULL:
            return "nobody"
        return f"id-type-{self.type}:{self.data.hex()}"


NOBODY = Identity(IdType.NULL, b"")
"""ID_NULL (RFC 7619)."""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _name(data: bytes) -> str:
    try:
        name = distinguished_name.show(data)
    except ValueError:
        return ""
    return name if name.isprintable() else ""


def _same_name(one: bytes, other: bytes) -> bool:
    try:
        return distinguished_name.decode(one) == distinguished_name.decode(other)
    except ValueError:
        return False
