"""A ticket is no better than the certificate of who got it (RFC 5723 6.2): it is void once that has
expired or was revoked.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from ike_lab import EAST, TODAY, toward
from pki_lab import authority, certified_lab, host, revocation_list, trusting

from p4esp.ike import tickets
from p4esp.ike.auth.revocation import Revocation
from p4esp.ike.codec.message import parse_message
from p4esp.ike.constants import ExchangeType
from p4esp.ike.events import AuthenticationFailed, IkeEstablished
from p4esp.ike.extension_wishes import ExtensionWishes

ROOT = authority("resumed root")
MIDDLE = authority("resumed middle", ROOT)
WEST_HOST, EAST_HOST = host("west", MIDDLE), host("east", MIDDLE)
WISH = ExtensionWishes(resumption=True)
RESUME, INIT = ExchangeType.IKE_SESSION_RESUME, ExchangeType.IKE_SA_INIT


class Pki:
    """Two ends, and the lists that both consult."""

    def __init__(self) -> None:
        self.lists = [revocation_list(ROOT), revocation_list(MIDDLE)]
        trust = trusting(ROOT, revocation=Revocation(lambda: self.lists, strict=False))
        self.lab = certified_lab(WEST_HOST, EAST_HOST, trust)
        self.lab.west_config = replace(self.lab.west_config, extensions=WISH)
        config = replace(self.lab.east_config, extensions=WISH)
        self.lab.east.endpoint._peers = lambda _: (config,)
        self.lab.connect()

    def lose(self) -> None:
        """West hears nothing more of east."""
        (ike,) = self.lab.west.endpoint.ike_sas
        self.lab.fate = lambda _: []
        self.lab.west.endpoint.check_liveness(ike.spi, self.lab.now)
        self.lab.run(300)
        self.lab.fate = lambda _: [0.01]
        self.lab.wire.clear()

    def come_back(self) -> list[int]:
        """The exchanges that west begins IKE SAs with."""
        self.lab.connect()
        headers = [parse_message(d.data).header for _, d in self.lab.wire if toward(EAST, d)]
        return [h.exchange for h in headers if h.exchange in (RESUME, INIT)]

    def pass_days(self, node, days: int) -> None:
        later = TODAY + timedelta(days=days)
        env = node.endpoint._env
        for one in (env, *(e.sa._state.env for e in node.endpoint._entries.values())):
            object.__setattr__(one, "wall_clock", lambda: later)


@pytest.fixture
def pki() -> Pki:
    return Pki()


def test_who_has_a_certificate_is_resumed(pki) -> None:
    for _ in range(2):
        pki.lose()
        assert pki.come_back() == [RESUME]
    assert pki.lab.east.of(IkeEstablished)[-1].ike.resumed
    assert len(pki.lab.east.endpoint._env.tickets._certificates) == 1


def test_after_a_rekey_too(pki) -> None:
    pki.lab.east.endpoint.rekey_ike(pki.lab.east.endpoint.ike_sas[0].spi, pki.lab.now)
    pki.lab.run(15)
    pki.lose()
    assert pki.come_back() == [RESUME]


def test_a_revoked_initiator_is_not_resumed(pki) -> None:
    pki.lose()
    pki.lists[1] = revocation_list(MIDDLE, WEST_HOST)
    assert pki.come_back() == [RESUME, INIT]
    assert "revoked" in pki.lab.east.one(AuthenticationFailed).reason


def test_a_resumed_one_that_is_revoked_later_neither(pki) -> None:
    pki.lose()
    assert pki.come_back() == [RESUME]
    pki.lose()
    pki.lists[1] = revocation_list(MIDDLE, WEST_HOST)
    assert pki.come_back() == [RESUME, INIT]
    assert len(pki.lab.east.of(IkeEstablished)) == 2


def test_an_initiator_does_not_come_back_to_who_was_revoked(pki) -> None:
    pki.lose()
    pki.lists[1] = revocation_list(MIDDLE, EAST_HOST)
    assert pki.come_back() == [INIT]
    assert "revoked" in pki.lab.west.one(AuthenticationFailed).reason


def test_an_expired_certificate_takes_its_ticket_along(pki) -> None:
    pki.lose()
    pki.pass_days(pki.lab.east, 10_000)
    assert pki.come_back() == [RESUME, INIT]
    assert "expired" in pki.lab.east.one(AuthenticationFailed).reason


def test_certificates_that_are_forgotten_cost_a_full_exchange(monkeypatch, pki) -> None:
    monkeypatch.setattr(tickets, "MAX_CERTIFIED", 1)
    pki.lose()
    pki.lab.east.endpoint._env.tickets.issue(b"another", 100, pki.lab.now, (ROOT.certificate,))
    assert pki.come_back() == [RESUME, INIT]
    assert not pki.lab.east.of(IkeEstablished)[-1].ike.resumed
