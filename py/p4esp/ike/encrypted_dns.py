"""Resolvers that speak DNS over TLS, QUIC or HTTPS, for an initiator to use (RFC 9464)."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from p4esp.ike.codec.configuration import ConfigAttribute, Configuration
from p4esp.ike.codec.encrypted_dns import (
    DIGEST_SIZES,
    Digest,
    DigestAttribute,
    ResolverAttribute,
    encode_digest_request,
    parse_digest_request,
    parse_name,
)
from p4esp.ike.codec.service_parameters import ServiceParameters
from p4esp.ike.constants import ConfigAttributeType as Kind
from p4esp.ike.constants import HashAlgorithm
from p4esp.ike.errors import ParseError
from p4esp.ipsec.selectors import Address

T = TypeVar("T")
Ignored = Callable[[str], None]
"""Takes why an attribute is not used."""

_OF_VERSION: Final = {4: Kind.ENCDNS_IP4, 6: Kind.ENCDNS_IP6}
_HASHES: Final = {
    HashAlgorithm.SHA2_256: hashlib.sha256,
    HashAlgorithm.SHA2_384: hashlib.sha384,
    HashAlgorithm.SHA2_512: hashlib.sha512,
}


@dataclass(frozen=True, slots=True)
class Resolver:
    """What a resolver client needs to know; it has to check the certificate by name or digest."""

    priority: int
    """The smaller is preferred."""
    name: str
    addresses: tuple[Address, ...]
    """Of one IP version."""
    parameters: ServiceParameters
    digest: Digest | None = None
    """Of the public key that its certificate must have."""

    def __str__(self) -> str:
        port = "" if self.parameters.port is None else f":{self.parameters.port}"
        pinned = "" if self.digest is None else " pinned"
        protocols = "/".join(self.parameters.alpn) or "any"
        return f"{self.name}{port} {protocols}{pinned} {' '.join(map(str, self.addresses))}"


@dataclass(frozen=True, slots=True)
class ResolverOffer:
    """A resolver of our network, for peers that ask."""

    resolver: Resolver
    public_key: bytes = field(default=b"", repr=False)
    """DER SubjectPublicKeyInfo of its certificate; empty: no digest is told."""

    def with_digest(self, algorithm: int | None) -> Resolver:
        """The resolver, with the digest of its key where one is wanted."""
        if algorithm is None or not self.public_key:
            return self.resolver
        value = _HASHES[HashAlgorithm(algorithm)](self.public_key).digest()
        return replace(self.resolver, digest=Digest(algorithm, value))


def questions(versions: Sequence[int]) -> list[ConfigAttribute]:
    """What of CFG_REQUEST asks for resolvers, their digests, and the names they are for."""
    kinds = [_OF_VERSION[version] for version in versions]
    return [
        *map(ConfigAttribute, kinds),
        ConfigAttribute(Kind.ENCDNS_DIGEST_INFO, encode_digest_request(list(DIGEST_SIZES))),
        ConfigAttribute(Kind.INTERNAL_DNS_DOMAIN),
    ]


def told(
    offers: Sequence[ResolverOffer], asked: Configuration, ignored: Ignored
) -> tuple[Resolver, ...]:
    """Those of the IP versions that a CFG_REQUEST asks for, the preferred ones first. Wishes for a
    certain resolver are not heeded.
    """
    kinds = {attribute.type for attribute in asked.attributes}
    wanted = [one for one in offers if _kind_of(one.resolver) in kinds]
    algorithm = _common_algorithm(asked, ignored)
    return _in_order([offer.with_digest(algorithm) for offer in wanted])


def _kind_of(resolver: Resolver) -> Kind:
    return _OF_VERSION[resolver.addresses[0].version]


def _in_order(resolvers: Sequence[Resolver]) -> tuple[Resolver, ...]:
    return tuple(sorted(resolvers, key=lambda one: one.priority))


def _common_algorithm(asked: Configuration, ignored: Ignored) -> int | None:
    """The first hash algorithm of the peer's that we know."""
    lists = _read(asked, Kind.ENCDNS_DIGEST_INFO, parse_digest_request, ignored)
    known = (one for found in lists for one in found if one in _HASHES)
    return next(known, None)


def answers(resolvers: Sequence[Resolver], domains: Sequence[str]) -> Iterator[ConfigAttribute]:
    """What of CFG_REPLY tells them; a digest bears a name where there are several."""
    for one in resolvers:
        form = ResolverAttribute(one.priority, one.addresses, one.name, one.parameters)
        yield ConfigAttribute(_kind_of(one), form.encode())
    digests = {one.name: one.digest for one in resolvers if one.digest is not None}
    alone = len({one.name for one in resolvers}) == 1
    for name, digest in digests.items():
        value = DigestAttribute("" if alone else name, digest).encode()
        yield ConfigAttribute(Kind.ENCDNS_DIGEST_INFO, value)
    for domain in domains:
        yield ConfigAttribute(Kind.INTERNAL_DNS_DOMAIN, domain.encode("ascii"))


def heard(reply: Configuration, ignored: Ignored) -> tuple[Resolver, ...]:
    """The resolvers in a CFG_REPLY, the preferred ones first. What is malformed, or there twice,
    is ignored by itself.
    """
    forms = [
        form
        for version, kind in _OF_VERSION.items()
        for form in _read(reply, kind, _parser(version), ignored)
    ]
    digests = _digests(reply, {form.name for form in forms}, ignored)
    return _in_order(
        [
            Resolver(f.priority, f.name, f.addresses, f.parameters, digests.get(f.name))
            for f in forms
        ]
    )


def domains_in(reply: Configuration, ignored: Ignored) -> tuple[str, ...]:
    """The names that are to be asked of the peer's resolvers."""
    return tuple(_read(reply, Kind.INTERNAL_DNS_DOMAIN, parse_name, ignored))


def _parser(version: int) -> Callable[[bytes], ResolverAttribute]:
    def parse(value: bytes) -> ResolverAttribute:
        form = ResolverAttribute.parse(value, version)
        if any(one.is_multicast or one.is_unspecified or one.is_loopback for one in form.addresses):
            raise ParseError(f"ENCDNS_IP{version}: an address that is no resolver's")
        return form

    return parse


def _digests(reply: Configuration, names: set[str], ignored: Ignored) -> dict[str, Digest]:
    """Digests by name; one without is that of the only name."""
    found = dict[str, Digest]()
    for form in _read(reply, Kind.ENCDNS_DIGEST_INFO, DigestAttribute.parse, ignored):
        name = form.name or (next(iter(names)) if len(names) == 1 else "")
        if name not in names or name in found:
            ignored(f"ENCDNS_DIGEST_INFO for {name or 'one of several names'}")
        else:
            found[name] = form.digest
    return found


def _read(
    config: Configuration, kind: Kind, parse: Callable[[bytes], T], ignored: Ignored
) -> list[T]:
    found = list[T]()
    values = config.values(kind)
    if len(values) > len(set(values)):
        ignored(f"{kind.name} that is there twice")
    for value in dict.fromkeys(values):
        try:
            found.append(parse(value))
        except ParseError as error:
            ignored(f"{kind.name}: {error}")
    return found
