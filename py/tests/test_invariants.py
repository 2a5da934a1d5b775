"""Every invariant holds for honest traffic and fires, by its own name, for one broken thing."""

from ipaddress import IPv4Address, ip_network

import pytest
from engine_helpers import any_key
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from p4esp.engine import Direction, Engine, Flag, KeySpec, SealEvent
from p4esp.engine.check.psp_cases import PspPacket
from p4esp.engine.check.requests import OUTER, open_request, seal_request
from p4esp.engine.check.vectors import VECTORS
from p4esp.engine.descriptor import CryptoFrame
from p4esp.invariants import InvariantError, Policy, Recorder, Role, Rule, Verdict
from p4esp.invariants.headers import read_flow
from p4esp.invariants.recorder import marked_numbers

SITE, WIRE, CRYPTO, CPU = 0, 1, 509, 510
ROLES = {SITE: Role.PROTECTED, WIRE: Role.UNPROTECTED, CRYPTO: Role.CRYPTO, CPU: Role.CPU}
LOCAL, REMOTE = ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16")
POLICIES = (
    Policy(Verdict.BYPASS, LOCAL, REMOTE, 17, destination_ports=(53, 53)),
    Policy(Verdict.PROTECT, LOCAL, REMOTE),
    Policy(Verdict.PROTECT, ip_network("2001:db8:1::/48"), ip_network("2001:db8:2::/48")),
)
KEY, SALT = bytes.fromhex("c5a1f0e39d2b7780166e94d8ab310f52"), b"\xf1\xf2\xf3\xf4"


def inner(size: int = 40, dport: int = 5001, **ip: int) -> bytes:
    header = IP(src="10.1.1.1", dst="10.2.2.2", **ip)
    return bytes(header / UDP(sport=5000, dport=dport) / Raw(bytes(range(size % 256))))


def clear(packet: bytes) -> bytes:
    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x0800)) + packet


class Gateway:
    """A sealing gateway as a recorder sees it; every step may be left out or spoilt."""

    def __init__(self, transform: str = "AES-GCM-16-128", policies: tuple = POLICIES) -> None:
        self.recorder = Recorder(ROLES, policies)
        self.engine = Engine(on_sealed=self.recorder.sealed)
        self.process = self.recorder.watch(self.engine.process)
        self.transform = transform
        self.handle = self.engine.install(self.key(Direction.SEAL))
        self.opener = self.engine.install(self.key(Direction.OPEN))
        self.seq = 0
        self.recorder.secret("key", KEY)
        self.recorder.secret("salt", SALT)

    def key(self, direction: Direction) -> KeySpec:
        return any_key(direction, self.transform, KEY + SALT + bytes(range(100, 164)))

    def seal(self, packet: bytes) -> bytes:
        self.seq += 1
        self.recorder.entered(SITE, clear(packet))
        fields = {"transform": self.transform, "nh": 4}
        request = seal_request(self.handle, self.seq, packet, **fields).encode()
        self.recorder.left(CRYPTO, request)
        reply = self.process(request)
        self.recorder.entered(CRYPTO, reply)
        sealed = CryptoFrame.decode(reply).packet
        outer = clear(sealed[:2] + len(sealed).to_bytes(2) + sealed[4:])
        self.recorder.left(WIRE, outer)
        return outer

    def receive(self, outer: bytes, seq: int, space: int = 0) -> None:
        request = open_request(self.opener, seq, outer[34:], space=space, flags=Flag.TRAILER)
        self.process(request.encode())

    def rules(self) -> set[Rule]:
        return {violation.rule for violation in self.recorder.violations()}


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 255), max_size=8))
def test_honest_traffic_breaks_no_rule(sizes: list[int]) -> None:
    gateway = Gateway()
    gateway.recorder.counters({}, {})
    for size in sizes:
        gateway.receive(gateway.seal(inner(size)), gateway.seq)
    gateway.recorder.window(0, gateway.seq, range(1, gateway.seq + 1))
    gateway.recorder.entered(WIRE, b"\xff" * 60)
    outcomes = {"FORWARDED": len(sizes), "TO_ENGINE": len(sizes), "DROPPED": 1}
    gateway.recorder.counters(outcomes, {"MALFORMED": 1, "NONE": 0})
    gateway.recorder.engine_counters({"DONE": 2 * len(sizes), "NO_KEY": 0}, 0)
    gateway.recorder.text("log", "SA 7 installed, key ****")
    gateway.recorder.assert_none()


# --- clear text ----------------------------------------------------------------------------


@pytest.mark.parametrize("tagged", [False, True])
def test_clear_packet_that_policy_protects_is_found(gateway: Gateway, tagged: bool) -> None:
    gateway.seal(inner())
    frame = Ether() / Dot1Q(vlan=7) / IP(inner()) if tagged else Ether() / IP(inner())
    number = gateway.recorder.left(WIRE, bytes(frame))
    (violation,) = gateway.recorder.violations()
    assert (violation.rule, violation.packet) == (Rule.CLEAR_TEXT_OUT, number)
    with pytest.raises(InvariantError, match=f"clear text.*packet {number}: 10.1.1.1 -> 10.2.2.2"):
        gateway.recorder.assert_none()


def test_clear_ipv6_packet_that_policy_protects_is_found(gateway: Gateway) -> None:
    packet = Ether() / IPv6(src="2001:db8:1::1", dst="2001:db8:2::1") / UDP()
    gateway.recorder.left(WIRE, bytes(packet))
    assert gateway.rules() == {Rule.CLEAR_TEXT_OUT}


def test_echoed_request_is_clear_text_though_it_has_an_esp_header(gateway: Gateway) -> None:
    gateway.recorder.entered(SITE, clear(inner()))
    echoed = clear(seal_request(gateway.handle, 1, inner()).packet)
    gateway.recorder.left(WIRE, echoed)
    assert gateway.rules() == {Rule.CLEAR_TEXT_OUT}


def test_forwarding_does_not_hide_a_protected_packet(gateway: Gateway) -> None:
    gateway.recorder.entered(SITE, clear(inner(ttl=64)))
    tunnelled = IP(src="192.0.2.1", dst="198.51.100.2", proto=47) / Raw(inner(ttl=63, tos=8))
    gateway.recorder.left(WIRE, clear(bytes(tunnelled)))
    assert gateway.rules() == {Rule.CLEAR_TEXT_OUT}


@pytest.mark.parametrize(
    ("port", "packet"),
    [
        (WIRE, inner(dport=53)),
        (WIRE, bytes(IP(src="192.0.2.1", dst="198.51.100.2") / UDP(dport=500))),
        (WIRE, b""),
        (SITE, inner()),
        (CRYPTO, inner()),
    ],
    ids=["bypass", "other", "runt", "own site", "to the engine"],
)
def test_packet_that_may_be_clear_is_no_violation(
    gateway: Gateway, port: int, packet: bytes
) -> None:
    gateway.recorder.left(port, clear(packet))
    gateway.recorder.assert_none()


def test_protected_gateway_address_may_send_what_the_engine_sealed(gateway: Gateway) -> None:
    everything = ip_network("0.0.0.0/0")
    recorder = Recorder(ROLES, [Policy(Verdict.PROTECT, everything, everything)])
    # The outer length that the request's header announces is right for this payload.
    request = seal_request(gateway.handle, 1, VECTORS["D1"].payload, nh=4).encode()
    reply = recorder.watch(gateway.engine.process)(request)
    recorder.left(WIRE, clear(CryptoFrame.decode(reply).packet))
    recorder.assert_none()
    recorder.left(WIRE, clear(CryptoFrame.decode(request).packet))
    assert [violation.packet for violation in recorder.violations()] == [2]


def test_policy_counts_as_it_was_when_the_packet_left() -> None:
    recorder = Recorder(ROLES)
    bypass, protect = (Policy(v, LOCAL, REMOTE) for v in (Verdict.BYPASS, Verdict.PROTECT))
    for rules in ([bypass], [protect], [bypass]):
        recorder.policy(rules)
        recorder.entered(SITE, clear(inner()))
        recorder.left(WIRE, clear(inner()))
    assert [violation.packet for violation in recorder.violations()] == [4]


def test_a_later_fragment_is_no_concern_of_a_rule_about_ports() -> None:
    """RFC 4301 7.2: it shows none."""
    port_only = Policy(Verdict.BYPASS, LOCAL, REMOTE, 17, ports_known=True)
    recorder = Recorder(ROLES, [port_only, Policy(Verdict.PROTECT, LOCAL, REMOTE)])
    recorder.left(WIRE, clear(inner()))
    number = recorder.left(WIRE, clear(inner(frag=3)))
    assert [violation.packet for violation in recorder.violations()] == [number]


def test_a_later_fragment_may_be_of_any_rule_with_ports_that_stands_before_the_others() -> None:
    """RFC 4301 7.4: whether one of them protects decides, not the first."""
    ports = {"destination_ports": (53, 53)}
    bypass, protect = (
        [Policy(verdict, LOCAL, REMOTE, 17, **ports), Policy(verdict, LOCAL, REMOTE)]
        for verdict in (Verdict.BYPASS, Verdict.PROTECT)
    )
    for rules, broken in (
        ([bypass[0], protect[0], bypass[1]], True),
        ([protect[0], bypass[1]], True),
        ([bypass[0], protect[1]], True),
        ([bypass[0], bypass[1], protect[1]], False),
    ):
        recorder = Recorder(ROLES, rules)
        recorder.left(WIRE, clear(inner(frag=3)))
        assert bool(list(recorder.violations())) is broken


def test_icmp_type_and_code_stand_where_ports_do() -> None:
    echo = (0x0800, 0x08FF)
    rules = [
        Policy(Verdict.BYPASS, LOCAL, REMOTE, 1, echo, echo),
        Policy(Verdict.PROTECT, LOCAL, REMOTE),
    ]
    recorder = Recorder(ROLES, rules)
    numbers = [
        recorder.left(WIRE, clear(bytes(IP(src="10.1.1.1", dst="10.2.2.2") / ICMP(type=kind))))
        for kind in (8, 13)
    ]
    assert [violation.packet for violation in recorder.violations()] == numbers[1:]


def test_what_the_controller_sends_itself_is_no_concern_of_policy(gateway: Gateway) -> None:
    gateway.recorder.entered(CPU, b"packet-out header" + inner())
    gateway.recorder.left(WIRE, clear(inner()))
    gateway.recorder.assert_none()
    gateway.recorder.left(WIRE, clear(inner(size=50)))
    assert gateway.rules() == {Rule.CLEAR_TEXT_OUT}


READABLE = ["AES-GMAC-128", "NULL-HMAC-SHA2-256-128"]


@pytest.mark.parametrize("transform", READABLE)
def test_a_readable_sa_shows_its_text_where_that_is_configured(transform: str) -> None:
    gateway = Gateway(transform)
    gateway.recorder.readable(gateway.handle)
    gateway.seal(inner())
    gateway.recorder.assert_none()
    gateway.recorder.left(WIRE, clear(inner()))
    assert gateway.rules() == {Rule.CLEAR_TEXT_OUT}


@pytest.mark.parametrize("transform", READABLE)
def test_a_readable_sa_that_nobody_configured_is_found(transform: str) -> None:
    gateway = Gateway(transform)
    gateway.seal(inner())
    assert gateway.rules() == {Rule.CLEAR_TEXT_OUT}


def test_a_readable_sa_excuses_no_packet_that_it_did_not_seal() -> None:
    gateway = Gateway("AES-GMAC-128")
    gateway.recorder.readable(gateway.handle)
    gateway.recorder.left(WIRE, gateway.seal(inner())[:-1] + b"\0")
    assert gateway.rules() == {Rule.CLEAR_TEXT_OUT}


def test_cbc_is_known_as_sealed_behind_its_long_iv() -> None:
    everything = Policy(Verdict.PROTECT, ip_network("0.0.0.0/0"), ip_network("0.0.0.0/0"))
    gateway = Gateway("AES-CBC-128-HMAC-SHA2-256-128", (everything,))
    for _ in range(3):
        gateway.seal(inner())
    gateway.recorder.assert_none()


def psp_in_transport_mode(gateway: Gateway, shown: int, dport: int) -> bytes:
    """What leaves of a packet of our site."""
    gateway.recorder.entered(SITE, clear(inner()))
    payload = inner()[20:]
    front = bytes((17, 1, shown // 4, 1))
    asked = PspPacket(0x1001, 1, payload[:shown], payload[shown:], front).seal(gateway.handle)
    sealed = CryptoFrame.decode(gateway.process(asked.encode())).packet[len(OUTER) :]
    datagram = UDP(sport=49152, dport=dport, chksum=0) / Raw(sealed)
    return clear(bytes(IP(src="10.1.1.1", dst="10.2.2.2") / datagram))


@pytest.mark.parametrize("shown", [0, 4, 24])
def test_psp_is_known_as_sealed_by_its_port_and_may_show_what_its_sa_shows(shown: int) -> None:
    gateway = Gateway()
    gateway.recorder.left(WIRE, psp_in_transport_mode(gateway, shown, 1000))
    gateway.recorder.assert_none()


def test_psp_to_another_port_or_with_another_text_is_clear_text() -> None:
    for dport, spoilt in ((1001, b""), (1000, b"\0")):
        gateway = Gateway()
        frame = psp_in_transport_mode(gateway, 4, dport)
        gateway.recorder.left(WIRE, frame[: len(frame) - len(spoilt)] + spoilt)
        assert gateway.rules() == {Rule.CLEAR_TEXT_OUT}


# --- nonces --------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.integers(0, 6)), max_size=12))
def test_repeated_nonce_is_found_exactly_when_a_pair_repeats(
    pairs: list[tuple[bytes, int]],
) -> None:
    recorder = Recorder(ROLES)
    for key, iv in pairs:
        recorder.sealed(SealEvent(1, 0, key, iv))
    assert len(recorder.violations()) == len(pairs) - len(set(pairs))


def test_a_cbc_iv_that_repeats_is_found() -> None:
    recorder = Recorder(ROLES)
    engine = Engine(random_bytes=bytes, on_sealed=recorder.sealed)
    cbc = "AES-CBC-128-HMAC-SHA2-256-128"
    handle = engine.install(any_key(Direction.SEAL, cbc))
    engine.process(seal_request(handle, 1, inner(), transform=cbc).encode())
    recorder.assert_none()
    engine.process(seal_request(handle, 2, inner(), transform=cbc).encode())
    assert [violation.rule for violation in recorder.violations()] == [Rule.NONCE_REPEATED]


def test_null_has_no_iv_that_could_repeat() -> None:
    gateway = Gateway("NULL-HMAC-SHA2-256-128")
    gateway.recorder.readable(gateway.handle)
    for _ in range(2):
        gateway.seq = 0
        gateway.seal(inner())
    gateway.recorder.assert_none()


# --- windows -------------------------------------------------------------------------------


def test_window_may_hold_authenticated_numbers_only(gateway: Gateway) -> None:
    gateway.receive(gateway.seal(inner()), 1, space=3)
    gateway.recorder.window(3, 1, [1])
    gateway.recorder.assert_none()
    gateway.recorder.window(3, 1, [1, 2])
    assert gateway.rules() == {Rule.WINDOW_MOVED}


def test_forged_packet_must_not_move_the_top(gateway: Gateway) -> None:
    outer = gateway.seal(inner())
    gateway.receive(outer[:-1] + bytes((outer[-1] ^ 1,)), 1)
    gateway.recorder.window(0, 1, [])
    assert gateway.rules() == {Rule.WINDOW_MOVED}


def test_number_of_another_space_does_not_count(gateway: Gateway) -> None:
    gateway.receive(gateway.seal(inner()), 1, space=3)
    gateway.recorder.window(4, 1, [1])
    assert gateway.rules() == {Rule.WINDOW_MOVED}


def test_top_never_goes_back_unless_scrubbed(gateway: Gateway) -> None:
    for _ in range(2):
        gateway.receive(gateway.seal(inner()), gateway.seq)
    gateway.recorder.window(0, 2, [1, 2])
    gateway.recorder.scrubbed(0)
    gateway.recorder.window(0, 0, [])
    gateway.recorder.assert_none()
    gateway.recorder.window(0, 0, [1])
    assert gateway.rules() == {Rule.WINDOW_MOVED}


def test_top_that_went_back_is_found(gateway: Gateway) -> None:
    for _ in range(2):
        gateway.receive(gateway.seal(inner()), gateway.seq)
    gateway.recorder.window(0, 2, [1, 2])
    gateway.recorder.window(0, 1, [1, 2])
    assert gateway.rules() == {Rule.WINDOW_MOVED}


@given(st.sets(st.integers(1, (1 << 37) - 1), max_size=20))
def test_cells_give_back_the_numbers_put_in(numbers: set[int]) -> None:
    cells: dict[int, int] = {}
    for number in numbers:
        cells[number >> 5] = cells.get(number >> 5, 0) | 1 << (number & 31)
    assert marked_numbers(cells.items()) == numbers


# --- secrets -------------------------------------------------------------------------------

FORMS = {
    "raw": KEY,
    "hex": KEY.hex().encode(),
    "capital hex": KEY.hex().upper().encode(),
    "colons": KEY.hex(":").encode(),
    "base64": b"xaHw450rd4AWbpTYqzEPUg==",
    "python": repr(KEY).encode(),
    "salt": b"salt=f1f2f3f4",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_secret_in_a_log_is_found_in_every_spelling(gateway: Gateway, form: bytes) -> None:
    gateway.recorder.text("P4Runtime write 3", b"table sa_out " + form + b" end")
    (violation,) = gateway.recorder.violations()
    assert violation.rule is Rule.SECRET_EXPOSED
    assert "P4Runtime write 3" in violation.what
    assert KEY.hex() not in str(violation)


@pytest.mark.parametrize("secret", [KEY, SALT])
def test_secret_in_a_frame_is_found(gateway: Gateway, secret: bytes) -> None:
    number = gateway.recorder.left(CRYPTO, bytes(60) + secret + bytes(20))
    (violation,) = gateway.recorder.violations()
    assert (violation.rule, violation.packet) == (Rule.SECRET_EXPOSED, number)


def test_salt_like_bytes_in_the_payload_are_chance(gateway: Gateway) -> None:
    gateway.recorder.left(WIRE, bytes(200) + SALT)
    gateway.recorder.assert_none()


def test_secret_of_three_bytes_is_refused(gateway: Gateway) -> None:
    with pytest.raises(ValueError, match="found by chance"):
        gateway.recorder.secret("short", b"abc")


# --- counters ------------------------------------------------------------------------------


def test_drop_without_reason_is_found(gateway: Gateway) -> None:
    gateway.recorder.counters({"DROPPED": 5}, {"NO_SA": 5})
    gateway.recorder.entered(WIRE, bytes(60))
    gateway.recorder.counters({"DROPPED": 6}, {"NO_SA": 5})
    assert gateway.rules() == {Rule.UNCOUNTED_DROP}


def test_drop_for_reason_none_is_found(gateway: Gateway) -> None:
    gateway.recorder.counters({}, {})
    gateway.recorder.entered(WIRE, bytes(60))
    gateway.recorder.counters({"DROPPED": 1}, {"NONE": 1})
    assert gateway.rules() == {Rule.UNCOUNTED_DROP}


@pytest.mark.parametrize("outcomes", [{}, {"FORWARDED": 1}, {"TO_ENGINE": 2}])
def test_packet_that_vanishes_uncounted_is_found(gateway: Gateway, outcomes: dict) -> None:
    gateway.recorder.counters({}, {})
    gateway.recorder.entered(SITE, bytes(60))
    gateway.recorder.counters(outcomes, {})
    assert gateway.rules() == {Rule.COUNTERS_DIFFER}


def test_engine_that_miscounts_is_found(gateway: Gateway) -> None:
    gateway.seal(inner())
    gateway.recorder.engine_counters({"DONE": 1}, 0)
    gateway.recorder.assert_none()
    gateway.recorder.engine_counters({"DONE": 1, "BAD_ICV": 1}, 0)
    assert gateway.rules() == {Rule.COUNTERS_DIFFER}


def test_engines_own_counters_agree_with_its_port(gateway: Gateway) -> None:
    gateway.seal(inner())
    gateway.process(b"short")
    gateway.process(seal_request(0, 1, b"").encode())
    stats = gateway.engine.stats()
    gateway.recorder.engine_counters(stats.replies, stats.not_a_request)
    gateway.recorder.assert_none()


def test_port_without_role_is_refused(gateway: Gateway) -> None:
    with pytest.raises(KeyError, match="port 7 has no role"):
        gateway.recorder.left(7, bytes(60))


# --- header reading ------------------------------------------------------------------------

addresses = st.integers(0, (1 << 32) - 1).map(IPv4Address)


@settings(max_examples=100, deadline=None)
@given(
    addresses,
    addresses,
    st.sampled_from([TCP, UDP, ICMP]),
    st.integers(0, 65535),
    st.lists(st.integers(0, 4095), max_size=2),
)
def test_flow_agrees_with_scapy(
    source: IPv4Address, destination: IPv4Address, kind: type, port: int, tags: list[int]
) -> None:
    layer4 = ICMP() if kind is ICMP else kind(sport=port, dport=port ^ 1)
    packet = IP(src=str(source), dst=str(destination)) / layer4 / Raw(b"x" * 9)
    frame = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
    for tag in tags:
        frame /= Dot1Q(vlan=tag)
    flow = read_flow(bytes(frame / packet))
    ports = (0x0800, 0x0800) if kind is ICMP else (port, port ^ 1)
    assert (flow.source, flow.destination) == (source, destination)
    assert (flow.source_port, flow.destination_port) == ports
    assert flow.end - flow.ip_at == len(bytes(packet))


@given(
    st.binary(max_size=120), st.sampled_from([b"\x08\x00\x45", b"\x86\xdd\x60", b"\x81\x00\x00"])
)
def test_reading_random_frames_never_raises(data: bytes, kind: bytes) -> None:
    recorder = Recorder(ROLES, POLICIES)
    recorder.entered(SITE, bytes(12) + kind + data)
    recorder.left(WIRE, bytes(12) + kind + data)
    recorder.left(WIRE, data)
    recorder.violations()
