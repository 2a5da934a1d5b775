"""Service parameters of a name (SvcParams) as they travel (RFC 9460 2.2, 7; RFC 9461 5)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from p4esp.ike.codec.reader import Reader
from p4esp.ike.errors import ParseError

_WHAT = "service parameters"
_TEMPLATE: Final = re.compile(r"/[!-~]*\{\??[!-z|]*\bdns\b[!-z|]*\}[!-~]*")
"""A path with the variable `dns` in it (RFC 9461 5)."""
MAX_TEMPLATE: Final = 512
"""Octets of the longest: the work of looking through one grows with the square."""


class ServiceKey(IntEnum):
    """Keys of parameters that are looked into."""

    MANDATORY = 0
    ALPN = 1
    NO_DEFAULT_ALPN = 2
    PORT = 3
    IPV4HINT = 4
    IPV6HINT = 6
    DOHPATH = 7


_KNOWN = frozenset(ServiceKey)


@dataclass(frozen=True, slots=True)
class ServiceParameters:
    """How a service is spoken to."""

    alpn: tuple[str, ...] = ()
    """Protocols, such as `dot`, `doq`, `h2`."""
    port: int | None = None
    """None: the protocol's own."""
    dohpath: str = ""
    """URI template of DNS over HTTPS, such as `/dns-query{?dns}`; empty: none."""
    others: tuple[tuple[int, bytes], ...] = ()
    """Key and value of those that mean nothing here."""

    def encode(self) -> bytes:
        """Key, length and value of each, by ascending key."""
        values = dict(self.others)
        if self.alpn:
            values[ServiceKey.ALPN] = b"".join(map(_counted, self.alpn))
        if self.port is not None:
            values[ServiceKey.PORT] = self.port.to_bytes(2, "big")
        if self.dohpath:
            values[ServiceKey.DOHPATH] = self.dohpath.encode()
        return b"".join(_parameter(key, values[key]) for key in sorted(values))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read parameters that fill `data`. ParseError: not in order, malformed, address hints,
        which have no place beside addresses, or one that is mandatory and not known.
        """
        values = dict(_parameters(data))
        if ServiceKey.IPV4HINT in values or ServiceKey.IPV6HINT in values:
            raise ParseError(f"{_WHAT}: an address hint beside addresses (RFC 9464 3.1)")
        _check_mandatory(values)
        alpn, port = values.get(ServiceKey.ALPN), values.get(ServiceKey.PORT)
        return cls(
            () if alpn is None else tuple(_strings(alpn)),
            None if port is None else _port(port),
            _template(values.get(ServiceKey.DOHPATH)),
            tuple((key, value) for key, value in values.items() if key not in _KNOWN),
        )


def is_template(text: str) -> bool:
    """Whether it can be a `dohpath`."""
    return len(text) <= MAX_TEMPLATE and _TEMPLATE.fullmatch(text) is not None


def _counted(text: str) -> bytes:
    return bytes([len(text)]) + text.encode("ascii")


def _parameter(key: int, value: bytes) -> bytes:
    return key.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def _parameters(data: bytes) -> Iterator[tuple[int, bytes]]:
    reader, last = Reader(data, _WHAT), -1
    while reader.left:
        key, size = reader.number(2, "key"), reader.number(2, "length")
        if key <= last:
            raise ParseError(f"{_WHAT}: key {key} after {last}, must ascend")
        last = key
        yield key, reader.take(size, "value")


def _check_mandatory(values: dict[int, bytes]) -> None:
    """Whoever does not know all that is mandatory must not use the service (RFC 9460 8)."""
    data = values.get(ServiceKey.MANDATORY, b"")
    keys = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
    usable = all(key in values and key in _KNOWN for key in keys)
    if len(data) % 2 or ServiceKey.MANDATORY in keys or not usable:
        raise ParseError(f"{_WHAT}: mandatory keys {keys} are not all known and there")


def _strings(data: bytes) -> Iterator[str]:
    reader = Reader(data, _WHAT)
    while reader.left:
        size = reader.number(1, "length of a protocol")
        if size == 0:
            raise ParseError(f"{_WHAT}: a protocol without a name")
        yield repr(reader.take(size, "protocol"))[2:-1]  # as a log can hold it


def _port(data: bytes) -> int:
    port = int.from_bytes(data, "big")
    if len(data) != 2 or port == 0:
        raise ParseError(f"{_WHAT}: port {data.hex()}")
    return port


def _template(data: bytes | None) -> str:
    text = "" if data is None else data.decode("ascii", "replace")
    if data is not None and not is_template(text):
        raise ParseError(f"{_WHAT}: dohpath is no template with the variable dns")
    return text
