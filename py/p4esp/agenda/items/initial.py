"""What is said in the initial exchanges: cookies, methods of authentication, name servers."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from p4esp.agenda.certificates import certificate
from p4esp.agenda.configuring import extension, together
from p4esp.agenda.model import Claim, Evidence, Item, Run, Section
from p4esp.demo.lab import Lab
from p4esp.demo.plan import LEFT, RIGHT
from p4esp.service.journal import Kind

_INIT, _AUTH = "IKE_SA_INIT request", "IKE_AUTH request"
_LOADED: Final = Run(ike={"cookie_threshold": 0})
"""Responders that ask everybody for a cookie."""


def _both_agree(notify: str) -> Claim:
    return Claim(f"both ends have {notify}", lambda _, after: after.agreed(notify))


def _says(evidence: Evidence, message: str, payload: str) -> bool:
    """Whether some message of this name holds a payload."""
    return any(payload in one.payloads for one in evidence.messages_of(message))


COOKIES: Final = Item(
    "revised-cookie",
    "Revised cookie processing",
    ("ours, after draft-smyslov-ipsecme-ikev2-cookie-revised",),
    "py/tests/ike/test_revised_cookie.py"
    "::test_with_both_ends_auth_covers_the_request_as_it_was_before_the_cookie",
    having=replace(_LOADED, amend=extension(revised_cookie=True)),
    lacking=_LOADED,
    claims=(
        Claim(
            "the responder asks for a cookie both times",
            lambda *runs: all(_says(run, _INIT, "N(COOKIE)") for run in runs),
        ),
        _both_agree("COOKIE_EXCLUDED"),
    ),
)


def _with_certificates(name: str, section: Section) -> None:
    """Left has two kinds of keys and prefers the one that right does not accept."""
    (peer,) = section["peers"]
    del peer["psk"]
    kinds = {LEFT.name: ("rsa", "ecdsa"), RIGHT.name: ("ecdsa",)}
    peer["certificates"] = [certificate(name, kind) for kind in kinds[name]]
    pinned = [certificate(peer["name"], kind)["file"] for kind in kinds[peer["name"]]]
    peer["trust"] = {"pinned": pinned, "signatures": ["ecdsa-sha256"]}


async def _refused(lab: Lab) -> None:
    """Wait until right has refused left."""
    await lab.happened(lab.right, Kind.IKE_FAILED)


METHODS: Final = Item(
    "auth-announcement",
    "Announcing authentication methods",
    ("RFC 9593",),
    "py/tests/ike/test_auth_announcement.py"
    "::test_an_initiator_takes_the_credential_that_the_responder_can_verify",
    having=Run(together(_with_certificates, extension(announce_auth=True))),
    lacking=Run(_with_certificates, _refused, packets=False),
    claims=(
        _both_agree("SUPPORTED_AUTH_METHODS"),
        Claim(
            "the responder says it first, the initiator in IKE_AUTH",
            lambda _, after: (
                _says(after, "IKE_SA_INIT response", "N(SUPPORTED_AUTH_METHODS)")
                and _says(after, _AUTH, "N(SUPPORTED_AUTH_METHODS)")
            ),
        ),
        Claim(
            "without it left signs by RSA, which right does not accept; with it, by ECDSA",
            lambda before, after: (
                before.says("accepted: ecdsa-sha256") and bool(after.children[LEFT.name])
            ),
        ),
    ),
)


def _with_addresses(name: str, section: Section) -> None:
    """Left has the first address of its network from right."""
    (peer,) = section["peers"]
    if name == LEFT.name:
        peer["request_addresses"] = [4]
        host = LEFT.network.replace(".0.0/16", ".0.1/32")
        peer["children"][0]["local"] = section["policies"][0]["local"] = [host]
    else:
        peer["assign"] = {"pools": [LEFT.network], "dns": [str(RIGHT.host)]}


def _with_resolver(name: str, section: Section) -> None:
    _with_addresses(name, section)
    (peer,) = section["peers"]
    if name == LEFT.name:
        peer["request_encrypted_dns"] = True
    else:
        resolver = {"name": "dns.right.example", "addresses": [str(RIGHT.host)], "alpn": ["dot"]}
        peer["assign"]["resolvers"] = [resolver]


def _told(evidence: Evidence) -> list[str]:
    """What left was told of right's network."""
    return [line for line in evidence.journal if "internal addresses" in line]


RESOLVERS: Final = Item(
    "encrypted-dns",
    "Encrypted DNS for clients (add-ike)",
    ("RFC 9464",),
    "py/tests/controller/test_encrypted_dns_end_to_end.py"
    "::test_queries_go_through_the_tunnel_from_the_assigned_address_alone",
    having=Run(_with_resolver, packets=False),
    lacking=Run(_with_addresses, packets=False),
    claims=(
        Claim(
            "left is told of a resolver that speaks DNS over TLS, beside the plain one",
            lambda before, after: (
                after.says(f"encrypted dns dns.right.example dot {RIGHT.host}")
                and not before.says("encrypted dns")
            ),
        ),
    ),
    negotiated=_told,
)

ITEMS: Final = (COOKIES, METHODS, RESOLVERS)
