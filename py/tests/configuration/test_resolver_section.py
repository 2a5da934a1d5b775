"""Name servers with encryption, as configuration files name them (RFC 9464)."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pki_lab import host

from p4esp.configuration.peers import PeerSection
from p4esp.configuration.sections import ConfigError, parse_file
from p4esp.ike.codec.service_parameters import ServiceParameters
from p4esp.ike.encrypted_dns import Resolver, ResolverOffer

DOT: dict[str, Any] = {"name": "dns.example", "addresses": ["10.2.0.53"], "alpn": ["dot"]}
CHILD = {"name": "net", "local": ["10.2.0.0/16", "fd02::/64"], "remote": ["10.9.0.0/24"]}


def parsed(directory: Path, resolver: dict[str, Any], **changes: Any) -> PeerSection:
    assign = {"pools": ["10.9.0.0/24"], "domains": ["Corp.example."], "resolvers": [resolver]}
    data = {
        "name": "road",
        "local_id": "gateway.example",
        "remote_id": "*.road.example",
        "psk": "correct horse",
        "assign": assign,
        "children": [CHILD],
    }
    return parse_file(PeerSection, data | changes, "test", directory)


def test_a_resolver_is_offered_for_each_ip_version(tmp_path: Path) -> None:
    both = DOT | {"addresses": ["10.2.0.53", "fd02::53", "10.2.0.54"], "port": 8853, "priority": 2}
    assignment = parsed(tmp_path, both).config().assignment
    assert assignment is not None
    how = ServiceParameters(("dot",), 8853)
    four = tuple(map(ip_address, ("10.2.0.53", "10.2.0.54")))
    assert assignment.resolvers == (
        ResolverOffer(Resolver(2, "dns.example", four, how)),
        ResolverOffer(Resolver(2, "dns.example", (ip_address("fd02::53"),), how)),
    )
    assert assignment.config.domains == ("corp.example",)


def test_the_certificate_gives_the_key_whose_digest_is_told(tmp_path: Path) -> None:
    server = host("dns", None).certificate
    (tmp_path / "dns.pem").write_bytes(server.public_bytes(Encoding.PEM))
    assignment = parsed(tmp_path, DOT | {"certificate": "dns.pem"}).config().assignment
    assert assignment is not None
    key = server.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert assignment.resolvers[0].public_key == key


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"addresses": []}, "addresses"),
        ({"addresses": ["10.3.0.53"]}, "10.3.0.53 is in `local` of no child; accepted: an address"),
        ({"alpn": []}, "alpn"),
        ({"alpn": ["http"]}, "'dot', 'doq', 'h2' or 'h3'"),
        ({"alpn": ["h2"]}, "dohpath with h2 or h3"),
        ({"dohpath": "/dns-query{?dns}"}, "dohpath with h2 or h3"),
        ({"alpn": ["h2"], "dohpath": "/dns-query"}, "with the variable dns"),
        ({"name": "not a name"}, "a domain name"),
        ({"name": "bücher.example"}, "a domain name"),
        ({"priority": 0}, "priority"),
        ({"port": 0}, "port"),
        ({"certificate": "none.pem"}, "none.pem"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(tmp_path, DOT | change)
    assert why in str(caught.value)


def test_resolvers_are_asked_for_together_with_addresses(tmp_path: Path) -> None:
    ask = {"request_encrypted_dns": True}
    with pytest.raises(ConfigError, match="accepted: request_encrypted_dns with request_addresses"):
        parsed(tmp_path, DOT, **ask)
    config = parsed(tmp_path, DOT, **ask, request_addresses=[4]).config()
    assert config.request_encrypted_dns
