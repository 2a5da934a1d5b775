"""Session resumption (RFC 5723): tickets, what they are good for, and what they are not."""

import hashlib
import hmac
from dataclasses import replace

import pytest
from ike_lab import EAST, STEADY, WEST, Lab, east_config, toward, west_config
from ppk_lab import AUTH, INT, policy

from p4esp.ike.auth.credentials import preshared
from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import KeyExchange, Nonce, Notify
from p4esp.ike.config import Limit, Settings
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.drops import Drop
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildUp,
    DownReason,
    IkeDown,
    IkeEstablished,
)
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.extensions import resumption
from p4esp.ike.sessions import MAX_ATTEMPTS
from p4esp.ike.tasks import resumed_auth, session_resume
from p4esp.ike.tickets import MAX_TICKET, TicketError

WISH = ExtensionWishes(resumption=True)
SETTINGS = Settings(retransmission=STEADY)
RESUME, INIT = ExchangeType.IKE_SESSION_RESUME, ExchangeType.IKE_SA_INIT


def silent(_):
    return []


def steady(_):
    return [0.01]


def lab_of(west=WISH, east=WISH, settings=SETTINGS, east_changes=None, **changes):
    ends = (
        west_config(extensions=west, **changes),
        east_config(extensions=east, **(east_changes or {})),
    )
    lab = Lab(*ends, settings=settings)
    lab.connect()
    return lab


def lose(lab, seconds=300.0):
    """West asks for a sign of life and hears nothing: its IKE SA is lost, that of east is not."""
    (ike,) = lab.west.endpoint.ike_sas
    lab.fate = silent
    lab.west.endpoint.check_liveness(ike.spi, lab.now)
    lab.run(seconds)
    lab.fate = steady
    assert lab.west.of(IkeDown)[-1].reason is DownReason.PEER_DEAD
    lab.wire.clear()


def openings(lab):
    """The exchanges that west began IKE SAs with."""
    headers = [parse_message(d.data).header for _, d in lab.wire if toward(EAST, d)]
    return [h.exchange for h in headers if h.exchange in (RESUME, INIT)]


def message(lab, host, exchange=RESUME):
    """The first message of an exchange towards a host."""
    found = (parse_message(d.data) for _, d in lab.wire if toward(host, d))
    return next(one for one in found if one.header.exchange == exchange)


def resumed_lab(**options):
    lab = lab_of(**options)
    lose(lab)
    lab.connect()
    return lab


def is_resumed(lab):
    ups = [node.of(IkeEstablished)[-1].ike.resumed for node in (lab.west, lab.east)]
    return openings(lab) == [RESUME] and ups == [True, True]


def test_a_lost_ike_sa_is_resumed_in_two_exchanges_without_a_key_exchange() -> None:
    lab = resumed_lab()
    assert is_resumed(lab)
    assert len(lab.wire) == 4
    request = message(lab, EAST)
    assert not request.clear.has(KeyExchange)
    for node in (lab.west, lab.east):
        assert node.of(ChildUp)[-1].child.spi_in in node.spis.used
        assert len(node.endpoint.ike_sas) == 1


def test_the_old_ike_sa_ends_without_a_word() -> None:
    lab = resumed_lab()
    down = lab.east.one(IkeDown)
    assert down.reason in (DownReason.RESUMED, DownReason.INITIAL_CONTACT)
    assert len(lab.east.spis.used) - len(lab.east.endpoint.ike_sas) == 1, "released by its owner"


def test_without_initial_contact_the_old_ike_sa_ends_all_the_same() -> None:
    assert resumed_lab(initial_contact=False).east.one(IkeDown).reason is DownReason.RESUMED


def prf(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def prf_plus(key, seed, size):
    stream, block, number = b"", b"", 1
    while len(stream) < size:
        block = prf(key, block + seed + bytes([number]))
        stream, number = stream + block, number + 1
    return stream[:size]


@pytest.mark.parametrize("full", [True, False], ids=["both messages", "own message"])
def test_keys_and_auth_are_what_the_formulas_say(monkeypatch, full) -> None:
    """RFC 5723 5.1 and 4.3.3, by hmac of the standard library; whether AUTH covers both messages
    was agreed on when the IKE SA began (ikev2-downgrade-prevention).
    """
    proofs = []
    real = resumed_auth.resumed_proof

    def noted(sa, identity):
        proof = real(sa, identity)
        proofs.append((sa.initiator, identity.encode(), proof.data))
        return proof

    monkeypatch.setattr(resumed_auth, "resumed_proof", noted)
    wishes = replace(WISH, full_transcript=full)
    lab = resumed_lab(west=wishes, east=wishes)
    request, answer = message(lab, EAST), message(lab, WEST)
    ni, nr = (one.clear.one(Nonce).data for one in (request, answer))
    old, new = lab.west.keys[0][-1], lab.west.keys[-1][-1]
    seed = prf(bytes(old.d), b"Resumption" + ni + nr)
    spis = answer.header.spi_i + answer.header.spi_r
    sizes = [len(key) for key in (new.d, new.ai, new.ar, new.ei, new.er, new.pi, new.pr)]
    stream = prf_plus(seed, ni + nr + spis, sum(sizes))
    parts = [stream[sum(sizes[:n]) : sum(sizes[: n + 1])] for n in range(7)]
    assert parts == [bytes(k) for k in (new.d, new.ai, new.ar, new.ei, new.er, new.pi, new.pr)]
    for initiator, identity, data in proofs:
        own, other = (request.raw, answer.raw) if initiator else (answer.raw, request.raw)
        nonce, key = (nr, parts[5]) if initiator else (ni, parts[6])
        said = bytes(8) + other + own if full else own
        assert data == prf(key, said + nonce + prf(key, identity))
    assert len(proofs) == 2


@pytest.mark.parametrize(
    ("west", "east"), [(ExtensionWishes(), WISH), (WISH, ExtensionWishes())], ids=["west", "east"]
)
def test_one_end_alone_begins_in_full(west, east) -> None:
    lab = lab_of(west, east)
    lose(lab)
    lab.connect()
    assert openings(lab) == [INIT]
    assert len(lab.west.of(IkeEstablished)) == 2


@pytest.mark.parametrize("who", ["west", "east"])
def test_an_ike_sa_that_was_deleted_is_not_resumed(who) -> None:
    lab = lab_of()
    node = getattr(lab, who)
    node.endpoint.delete_ike(node.endpoint.ike_sas[0].spi, lab.now)
    lab.settle()
    lab.wire.clear()
    lab.connect()
    assert openings(lab) == [INIT]


def test_a_ticket_of_an_ike_sa_that_its_giver_deleted_is_void() -> None:
    """RFC 5723 9.8: the initiator need not have heard of it."""
    lab = lab_of()
    lab.fate = silent
    lab.east.endpoint.delete_ike(lab.east.endpoint.ike_sas[0].spi, lab.now)
    lose(lab)
    lab.connect()
    assert openings(lab) == [RESUME, INIT]
    assert len(lab.west.of(IkeEstablished)) == 2


def test_a_refused_ticket_leads_to_a_full_exchange_under_message_id_0(monkeypatch) -> None:
    lab = lab_of()
    lose(lab)
    lab.east.endpoint._env.tickets._keys.clear()
    lab.connect()
    assert openings(lab) == [RESUME, INIT]
    assert message(lab, EAST, INIT).header.message_id == 0
    ups = [node.of(IkeEstablished)[-1].ike.resumed for node in (lab.west, lab.east)]
    assert ups == [False, False]
    assert lab.east.endpoint.half_open == 0


def test_a_forged_refusal_costs_a_full_exchange_and_nothing_else() -> None:
    lab = lab_of()
    lose(lab)
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab._collect()
    request = message(lab, EAST)
    header = replace(request.header, initiator=False, response=True)
    forged = Notify(NotifyType.TICKET_NACK)
    datagram = next(d for _, d in lab.wire if toward(EAST, d))
    back = replace(
        datagram, data=encode_clear(header, [forged]), path=datagram.path.between(EAST, WEST)
    )
    lab.deliver(back)
    lab.settle()
    assert INIT in openings(lab)
    assert len(lab.west.endpoint.ike_sas) == 1


def test_a_ticket_is_good_once() -> None:
    """A replay of the request gives its sender nothing, and spoils nothing (RFC 5723 4.3.1)."""
    lab = resumed_lab()
    request = next(d for _, d in lab.wire if toward(EAST, d))
    changed = bytearray(request.data)
    changed[0] ^= 1  # another SPI: else it is a retransmission
    lab.wire.clear()
    lab.deliver(replace(request, data=bytes(changed)))
    lab.settle()
    nack = message(lab, WEST)
    assert [n.type for n in nack.clear.every(Notify)] == [NotifyType.TICKET_NACK]
    assert nack.header.spi_r == bytes(8)
    assert len(lab.east.endpoint.ike_sas) == 1


def test_a_replay_before_the_ticket_is_used_does_not_use_it_up() -> None:
    lab = lab_of()
    lose(lab)
    lab.fate = lambda d: [] if toward(WEST, d) else [0.01]
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab.settle()
    request = next(d for _, d in lab.wire if toward(EAST, d))
    changed = bytearray(request.data)
    changed[0] ^= 1
    lab.deliver(replace(request, data=bytes(changed)))
    lab.settle()
    assert lab.east.endpoint.half_open == 2
    lab.fate = steady
    lab.run(10)
    assert lab.west.of(IkeEstablished)[-1].ike.resumed
    lab.run(60)
    assert lab.east.endpoint.half_open == 0


def test_a_ticket_without_its_keys_proves_nothing() -> None:
    lab = lab_of()
    lose(lab)
    kept = lab.west.endpoint._sessions._kept["east"]
    kept.session.sk_d[0] ^= 1
    lab.connect()
    lab.run(60)
    assert len(lab.east.of(IkeEstablished)) == 1
    assert lab.east.endpoint.half_open == 0


@pytest.mark.parametrize("at", [0, 1, 9, 21, -1], ids=["version", "key", "nonce", "text", "tag"])
def test_a_changed_ticket_is_refused(at) -> None:
    lab = lab_of()
    lose(lab)
    sessions = lab.west.endpoint._sessions._kept
    ticket = bytearray(sessions["east"].ticket)
    ticket[at] ^= 1
    sessions["east"] = replace(sessions["east"], ticket=bytes(ticket))
    lab.connect()
    assert openings(lab) == [RESUME, INIT]


def test_an_expired_ticket_is_not_shown() -> None:
    lab = lab_of(settings=replace(SETTINGS, ticket_lifetime=200.0))
    lose(lab)
    lab.connect()
    assert openings(lab) == [INIT]


def test_an_expired_ticket_is_not_taken_either() -> None:
    lab = lab_of(settings=replace(SETTINGS, ticket_lifetime=400.0))
    lose(lab)
    sessions = lab.west.endpoint._sessions._kept
    sessions["east"] = replace(sessions["east"], expires=1e9)
    lab.run(200)
    lab.connect()
    assert openings(lab) == [RESUME, INIT]


def test_a_ticket_lives_no_longer_than_the_ike_sa() -> None:
    lab = lab_of(east_changes={"lifetime": Limit(100, 120)})
    (sa,) = (entry.sa for entry in lab.west.endpoint._entries.values())
    assert sa._state.resumption.ticket.expires <= lab.now + 120


def test_another_ticket_is_asked_for_before_the_last_one_expires() -> None:
    lab = lab_of(settings=replace(SETTINGS, ticket_lifetime=1000.0))
    (entry,) = lab.west.endpoint._entries.values()
    first = entry.sa._state.resumption.ticket
    lab.run(800)
    second = entry.sa._state.resumption.ticket
    assert second.expires > first.expires
    assert second.data != first.data
    requests = [r for r in lab.west.traces if "N(TICKET_REQUEST)" in r.payloads]
    lab.run(10_000)
    more = [r for r in lab.west.traces if "N(TICKET_REQUEST)" in r.payloads]
    assert len(more) - len(requests) == pytest.approx(10_000 / 750, abs=1)


@pytest.mark.parametrize("who", ["west", "east"])
def test_a_rekeyed_ike_sa_is_resumed_with_a_ticket_of_its_own(who) -> None:
    lab = lab_of()
    (entry,) = lab.west.endpoint._entries.values()
    first = entry.sa._state.resumption.ticket.data
    node = getattr(lab, who)
    node.endpoint.rekey_ike(node.endpoint.ike_sas[0].spi, lab.now)
    lab.settle()
    with pytest.raises(TicketError, match="deleted"):
        lab.east.endpoint._env.tickets.open(first, lab.now)
    lab.run(15)
    lose(lab)
    lab.connect()
    assert is_resumed(lab)


def test_a_resumed_ike_sa_can_be_resumed_again_and_rekeyed() -> None:
    lab = resumed_lab()
    lose(lab)
    lab.connect()
    assert is_resumed(lab)
    (ike,) = lab.west.endpoint.ike_sas
    lab.west.endpoint.rekey_ike(ike.spi, lab.now)
    lab.settle()
    assert len(lab.east.endpoint.ike_sas) == 1


def test_an_initiator_from_which_nothing_comes_shows_its_ticket_again() -> None:
    """RFC 5723 4.3.1: a ticket without an answer is not used; but not for ever."""
    lab = lab_of(settings=replace(SETTINGS, ticket_lifetime=10_000.0))
    lose(lab)
    lab.fate = silent
    for _ in range(MAX_ATTEMPTS + 1):
        lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
        lab.run(300)
    assert sorted(set(openings(lab))) == [INIT, RESUME]
    assert openings(lab).count(INIT) == 6


def test_a_cookie_is_demanded_of_tickets_too() -> None:
    lab = lab_of(settings=replace(SETTINGS, cookie_threshold=0))
    lose(lab)
    lab.connect()
    assert openings(lab) == [RESUME, RESUME]
    assert lab.west.of(IkeEstablished)[-1].ike.resumed
    assert lab.east.endpoint.drops[Drop.NO_COOKIE] == 2, "one each for INIT and RESUME"


@pytest.mark.parametrize(
    ("side", "changes"),
    [
        ("west", {"extensions": ExtensionWishes()}),
        ("west", {"local_id": west_config().remote_id}),
        ("east", {"extensions": ExtensionWishes()}),
        ("east", {"remote_id": west_config().remote_id}),
        ("east", {"local_id": west_config().local_id}),
        ("east", {"name": "another"}),
        ("east", {"ppk": policy(required=True)}),
    ],
    ids=["switch", "own-id", "their-switch", "peer-id", "their-id", "name", "ppk"],
)
def test_a_session_that_is_not_configured_so_any_more_begins_in_full(side, changes) -> None:
    lab = lab_of()
    lose(lab)
    if side == "west":
        lab.west_config = replace(lab.west_config, **changes)
    else:
        config = replace(lab.east_config, **changes)
        lab.east.endpoint._peers = lambda _: (config,)
    lab.connect()
    assert INIT in openings(lab)
    assert not any(up.ike.resumed for up in lab.east.of(IkeEstablished))


@pytest.mark.parametrize("mode", [AUTH, INT])
def test_a_ppk_stays_in_the_keys_and_is_not_mixed_in_again(mode) -> None:
    """RFC 8784 3."""
    ppk = policy(required=True, modes=(mode,))
    lab = resumed_lab(ppk=ppk, east_changes={"ppk": ppk})
    assert is_resumed(lab)
    assert all(node.of(IkeEstablished)[-1].ike.ppk is mode for node in (lab.west, lab.east))
    names = [name for record in lab.west.traces[-6:] for name in record.payloads]
    assert not {"N(USE_PPK)", "N(USE_PPK_INT)", "N(PPK_IDENTITY)"} & set(names)


def test_another_preshared_key_does_not_matter_until_the_ticket_expires() -> None:
    """The ticket stands for the proof that was given; `trust` and methods are looked at again."""
    lab = lab_of()
    lose(lab)
    lab.west_config = replace(lab.west_config, auth=preshared(b"changed"))
    lab.connect()
    assert is_resumed(lab)


@pytest.mark.parametrize(
    "notifies",
    [
        [Notify(NotifyType.TICKET_LT_OPAQUE, b"\0\0\1\0")],
        [Notify(NotifyType.TICKET_LT_OPAQUE, bytes(4 + MAX_TICKET + 1))],
        [Notify(NotifyType.TICKET_LT_OPAQUE, b"\0\0\1\0ticket", protocol=1, spi=bytes(4))],
        [Notify(NotifyType.TICKET_LT_OPAQUE, b"\0\0\1\0ticket", 3, bytes(4))],
        [Notify(NotifyType.TICKET_LT_OPAQUE, b"\0\0\1\0ticket")] * 2,
        [Notify(NotifyType.TICKET_ACK, b"\0")],
    ],
    ids=["no-ticket", "large", "protocol", "spi", "twice", "ack-with-data"],
)
def test_a_malformed_ticket_is_ignored_and_recorded(monkeypatch, notifies) -> None:
    monkeypatch.setattr(resumption, "_answer", lambda *_: notifies)
    lab = lab_of()
    assert len(lab.west.endpoint.ike_sas) == 1
    assert lab.west.endpoint.drops[Drop.IGNORED_NOTIFY] >= 1
    lose(lab)
    lab.connect()
    assert openings(lab) == [INIT]


def test_a_ticket_that_nobody_asked_for_is_ignored_and_recorded(monkeypatch) -> None:
    unasked = [Notify(NotifyType.TICKET_LT_OPAQUE, b"\0\0\1\0ticket")]
    monkeypatch.setattr(resumption, "_answer", lambda *_: unasked)
    lab = lab_of(west=ExtensionWishes())
    assert lab.west.endpoint.drops[Drop.IGNORED_NOTIFY] == 1


def test_a_peer_that_puts_us_off_is_asked_once_a_while(monkeypatch) -> None:
    monkeypatch.setattr(
        resumption, "_answer", lambda sa, _: [Notify(NotifyType.TICKET_ACK)] * sa.resumption.asked
    )
    lab = lab_of()
    lab.run(600)
    asked = [r for r in lab.west.traces if "N(TICKET_REQUEST)" in r.payloads]
    assert 9 <= len(asked) <= 11


@pytest.mark.parametrize(
    "notifies",
    [[], [Notify(NotifyType.TICKET_OPAQUE)], [Notify(NotifyType.TICKET_OPAQUE, bytes(40))] * 2],
    ids=["none", "empty", "twice"],
)
def test_a_request_without_one_good_ticket_is_refused_and_leaves_no_state(
    monkeypatch, notifies
) -> None:
    lab = lab_of()
    lose(lab)
    nonce = Nonce(bytes(32))
    monkeypatch.setattr(session_resume.SessionResume, "build", lambda *_: [nonce, *notifies])
    lab.connect()
    assert openings(lab) == [RESUME, INIT]
    assert lab.east.endpoint.half_open == 0


def test_a_wrong_auth_ends_the_attempt_and_leaves_the_ticket_unused(monkeypatch) -> None:
    lab = lab_of()
    lose(lab)
    real = resumed_auth.resumed_proof
    monkeypatch.setattr(
        resumed_auth,
        "resumed_proof",
        lambda sa, identity: replace(real(sa, identity), data=bytes(32)),
    )
    lab.connect()
    assert lab.east.one(AuthenticationFailed)
    lab.run(SETTINGS.linger + 1)
    assert lab.east.endpoint.half_open == 0
    assert len(lab.east.endpoint._env.tickets._spent) == 0


def test_tickets_and_their_keys_are_in_no_trace_and_no_event() -> None:
    lab = resumed_lab()
    (entry,) = lab.west.endpoint._entries.values()
    ticket = entry.sa._state.resumption.ticket
    things = (lab.west.traces, lab.east.traces, lab.west.events, lab.east.events)
    more = (entry.sa._state.resumption, lab.west.endpoint._sessions._kept)
    text = repr((*things, *more))
    for secret in (ticket.data, bytes(lab.west.keys[0][-1].d), bytes(lab.west.keys[-1][-1].d)):
        assert secret.hex() not in text
        assert repr(secret)[2:-1] not in text


def test_sk_d_of_a_session_is_overwritten_once_it_is_used() -> None:
    lab = lab_of()
    lose(lab)
    session = lab.west.endpoint._sessions._kept["east"].session
    assert any(session.sk_d)
    lab.connect()
    assert not any(session.sk_d)
