"""Values of ENCDNS_IP4, ENCDNS_IP6 and ENCDNS_DIGEST_INFO attributes (RFC 9464 3), and of
INTERNAL_DNS_DOMAIN (RFC 8598 4.1).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Self

from p4esp.ike.codec.reader import Reader
from p4esp.ike.codec.service_parameters import ServiceParameters
from p4esp.ike.constants import HashAlgorithm
from p4esp.ike.errors import ParseError
from p4esp.ipsec.selectors import Address

DIGEST_SIZES: Final[dict[int, int]] = {
    HashAlgorithm.SHA2_256: 32,
    HashAlgorithm.SHA2_384: 48,
    HashAlgorithm.SHA2_512: 64,
}
"""Octets of the digests that we know."""
MAX_NAME: Final = 253
_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_SIZES: Final = {4: 4, 6: 16}


def is_name(text: str) -> bool:
    """Whether it is a domain name in presentation form, with A-labels for what is not ASCII."""
    return len(text) <= MAX_NAME and _NAME.fullmatch(text) is not None


def parse_name(data: bytes) -> str:
    """A domain name, without a final dot; ParseError."""
    text = data.decode("ascii", "replace")
    if not is_name(text):
        raise ParseError(f"{data[:MAX_NAME]!r} is no domain name")
    return text.removesuffix(".").lower()


@dataclass(frozen=True, slots=True)
class ResolverAttribute:
    """ENCDNS_IP4 or ENCDNS_IP6 of a reply: the IP version of the addresses tells which."""

    priority: int
    """The smaller is preferred; never 0, which would be an alias."""
    addresses: tuple[Address, ...]
    """At least one, of one IP version."""
    name: str
    """What the resolver's certificate must be for."""
    parameters: ServiceParameters

    def encode(self) -> bytes:
        """Priority, number of addresses, size of the name, addresses, name, parameters."""
        head = self.priority.to_bytes(2, "big") + bytes([len(self.addresses), len(self.name)])
        addresses = b"".join(address.packed for address in self.addresses)
        return head + addresses + self.name.encode("ascii") + self.parameters.encode()

    @classmethod
    def parse(cls, value: bytes, version: int) -> Self:
        """Read a value of an attribute for this IP version; ParseError."""
        reader = Reader(value, f"ENCDNS_IP{version}")
        priority, count = reader.number(2, "priority"), reader.number(1, "number of addresses")
        size = reader.number(1, "size of the name")
        if priority == 0 or count == 0:
            raise ParseError(f"ENCDNS_IP{version}: priority {priority}, {count} addresses, none 0")
        packed = [reader.take(_SIZES[version], "address") for _ in range(count)]
        name = parse_name(reader.take(size, "name"))
        parameters = ServiceParameters.parse(reader.rest())
        return cls(priority, tuple(map(ip_address, packed)), name, parameters)


@dataclass(frozen=True, slots=True)
class Digest:
    """Of a resolver's public key: DER SubjectPublicKeyInfo."""

    algorithm: int
    """A hash algorithm of the registry of RFC 7427."""
    value: bytes


@dataclass(frozen=True, slots=True)
class DigestAttribute:
    """ENCDNS_DIGEST_INFO of a reply."""

    name: str
    """Whose it is; empty: that of the only name in the reply."""
    digest: Digest

    def encode(self) -> bytes:
        """One algorithm, size of the name, name, algorithm, digest."""
        name = self.name.encode("ascii")
        algorithm = int(self.digest.algorithm).to_bytes(2, "big")
        return bytes([1, len(name)]) + name + algorithm + self.digest.value

    @classmethod
    def parse(cls, value: bytes) -> Self:
        """Read a value; ParseError also for a digest of an unknown kind or size."""
        reader = Reader(value, "ENCDNS_DIGEST_INFO")
        count, size = reader.number(1, "number of algorithms"), reader.number(1, "size of the name")
        if count != 1:
            raise ParseError(f"ENCDNS_DIGEST_INFO: {count} algorithms, must be 1 in an answer")
        name = parse_name(reader.take(size, "name")) if size else ""
        digest = Digest(reader.number(2, "algorithm"), reader.rest())
        if DIGEST_SIZES.get(digest.algorithm) != len(digest.value):
            got = f"{len(digest.value)} octets of algorithm {digest.algorithm}"
            raise ParseError(f"ENCDNS_DIGEST_INFO: {got}; accepted: {DIGEST_SIZES}")
        return cls(name, digest)


def encode_digest_request(algorithms: Sequence[int]) -> bytes:
    """ENCDNS_DIGEST_INFO of a request: the hash algorithms that we know."""
    return bytes([len(algorithms), 0]) + b"".join(int(one).to_bytes(2, "big") for one in algorithms)


def parse_digest_request(value: bytes) -> tuple[int, ...]:
    """The hash algorithms that the peer knows, in its order; ParseError."""
    reader = Reader(value, "ENCDNS_DIGEST_INFO")
    count, size = reader.number(1, "number of algorithms"), reader.number(1, "size of the name")
    if size:
        raise ParseError("ENCDNS_DIGEST_INFO: a name in a request")
    found = tuple(reader.number(2, "algorithm") for _ in range(count))
    reader.finish()
    return found
