"""What must hold whatever a packet looks like: the project's invariants, and for each frame that
leaves a reason why it may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Network, IPv6Network

from gateway_bed import CPU_HEADER_LEN, CPU_PORT, CRYPTO_PORT, DROPS, OUTCOMES, PUNTS, through
from gateway_packets import checksum
from gateway_pair import (
    BEET_V4,
    CLEAR,
    EAST,
    OWN_MAC,
    PROTECTED_PORT,
    ROUTER_MAC,
    SITE_MAC,
    TRANSPORT,
    TUNNEL,
    UNPROTECTED_PORT,
    WEST,
    Gateway,
    Sa,
    host4,
    host6,
    key_spec,
    other,
)

from fuzz.pipeline_world import BASE, Stimulus, World, outside
from p4esp.engine import Direction
from p4esp.engine.datapath import SealEvent
from p4esp.engine.descriptor import Status
from p4esp.invariants import Policy, Recorder, Role, Verdict, Violation
from p4esp.invariants.headers import read_flow
from p4esp.invariants.recorder import marked_numbers

ROLES = dict.fromkeys(range(CRYPTO_PORT), Role.PROTECTED) | {
    PROTECTED_PORT: Role.PROTECTED,
    UNPROTECTED_PORT: Role.UNPROTECTED,
    CRYPTO_PORT: Role.CRYPTO,
    CPU_PORT: Role.CPU,
}
MACS = {PROTECTED_PORT: SITE_MAC, UNPROTECTED_PORT: ROUTER_MAC}
REPORTED = ("ACQUIRE", "TTL", "NO_NEIGHBOUR", "TOO_BIG")
"""Packets that are dropped, and leave by the CPU port all the same."""
ANSWERS = frozenset(
    (Status.DONE, Status.BAD_ICV, Status.BAD_PADLEN, Status.BAD_PAD, Status.BAD_INNER)
)
"""What the engine may say to a request of the pipeline: any other status is its own fault."""
FORGED_CX = next(number for number, name in DROPS.items() if name == "FORGED_CX")
SECRETS_AT_A_TIME = 3
SEND, ROUTE, INJECT = 1, 2, 3
SEALED, OPENED = 0x81, 0x82


class FindingError(AssertionError):
    """Something that must not happen; ``stimulus`` is what did it, None when a batch did."""

    def __init__(self, what: str, stimulus: Stimulus | None = None) -> None:
        super().__init__(what)
        self.stimulus = stimulus


@dataclass(slots=True)
class Tally:
    """What became of the packets that were sent."""

    packets: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    drops: Counter[str] = field(default_factory=Counter)
    punts: Counter[str] = field(default_factory=Counter)
    at_the_peer: Counter[str] = field(default_factory=Counter)


class Judge:
    """Runs batches and judges them."""

    def __init__(self, seed: int) -> None:
        self._nonces: set[tuple[bytes, int]] = set()
        self._events: list[SealEvent] = []
        self.world = World(seed, self._events.append)
        self.tally = Tally()
        self._east, self._west = self.world.east, self.world.west
        self._sas = {sa.number: sa for sa in self._east.sas}
        self._policies = [*policies(self._east)]
        self._readable = readable_keys(self._east)
        self._transported: set[int] = set()
        self._batch = 0
        self._recorder = self._new_recorder()

    def judge(self, batch: Sequence[Stimulus]) -> None:
        """Sends a batch; FindingError."""
        self._recorder = self._new_recorder()
        self._open_books()
        before = self._east.counts()
        for stimulus in batch:
            try:
                self._judge_one(stimulus)
            except FindingError as finding:
                finding.stimulus = finding.stimulus or stimulus
                raise
            except Exception as error:
                raise FindingError(f"raised {error!r}", stimulus) from error
        self._close_books()
        after = self._east.counts()
        self._add_up(batch, after.outcomes - before.outcomes, after.drops - before.drops)
        self.tally.punts += after.punts - before.punts

    # --- one packet --------------------------------------------------------------------------

    def _judge_one(self, stimulus: Stimulus) -> None:
        self._enter(stimulus.port, stimulus.data)
        if stimulus.port == CRYPTO_PORT:
            self._believe(stimulus)
        for port, out in self._east.send(stimulus.port, stimulus.data):
            self._recorder.left(CPU_PORT if stimulus.kind == "sealed" else port, out)
            if port == CRYPTO_PORT:
                self._by_engine(stimulus, out)
            elif stimulus.port == CRYPTO_PORT:
                self._judge_reply(port, out, stimulus.data, from_outside=True)
            else:
                self._judge_direct(stimulus, port, out)

    def _by_engine(self, stimulus: Stimulus, request: bytes) -> None:
        reply = self._east.engine.process(request)
        self._recorder.exchanged(request, reply)
        need(reply is not None, "the engine takes a request for none")
        assert reply is not None
        status = reply[16]
        need(status in ANSWERS, f"the engine refuses a request with status {status:#x}")
        self._enter(CRYPTO_PORT, reply)
        forged = self._forged()
        leaving = self._east.send(CRYPTO_PORT, reply)
        need(self._forged() == forged, "an answer of the engine is taken for a forged one")
        for port, out in leaving:
            number = self._recorder.left(port, out)
            if self._sas[int.from_bytes(request[30:33], "big")].mode == TRANSPORT:
                self._transported.add(number)
            need(status == Status.DONE, f"a packet of status {status:#x} leaves by port {port}")
            self._judge_reply(port, out, reply)
            if port == UNPROTECTED_PORT:
                well_formed(port, out, exact=True)
                self._at_the_peer(stimulus, out, request)

    def _forged(self) -> int:
        return self._east.device.counter_array("drops").packets[FORGED_CX]

    def _judge_reply(self, port: int, out: bytes, reply: bytes, from_outside: bool = False) -> None:
        """A frame that leaves when the engine, or somebody else on its port, has answered."""
        if port == CPU_PORT:
            need(out[0] in PUNTS, f"punt {out[0]} has no name")
            return
        if port == UNPROTECTED_PORT:
            need(reply[14] == SEALED, "what was opened leaves by the unprotected port")
            need(out[14:] == reply[BASE:], "what leaves is not what was sealed")
            return
        if reply[14] == SEALED and from_outside:
            return  # The site may see what an engine makes up, the network may not.
        well_formed(port, out, exact=True)
        need(reply[14] == OPENED, "what was sealed leaves by the protected port")
        self._judge_delivered(out[14:], reply)

    def _judge_delivered(self, packet: bytes, reply: bytes) -> None:
        sa, text = self._sas[int.from_bytes(reply[30:33], "big")], reply[BASE + reply[41] :]
        need(selectors_fit(sa, packet), f"SA {sa.number} delivers what it is not for")
        if sa.mode == TUNNEL:
            need(forwarded(text) == forwarded(packet), "what is delivered is not what was sealed")
        elif sa.mode == BEET_V4 and reply[17] == BEET_PH:
            need(packet[20:] == without_pseudo_header(text), "BEET's options are not those sent")
        else:
            need(packet.endswith(text), "what is delivered is not what was sealed")

    def _judge_direct(self, stimulus: Stimulus, port: int, out: bytes) -> None:
        """A frame that leaves without the engine."""
        if port == CPU_PORT:
            known = out[0] in PUNTS or (stimulus.port == CPU_PORT and out[0] == stimulus.data[0])
            need(known, f"packet-in {out[0]} has no name")
            return
        data, came_by = stimulus.data, stimulus.port
        if came_by == CPU_PORT:
            operation = data[0]
            if operation == SEND:
                need(out == data[CPU_HEADER_LEN:], "a frame of the controller is changed")
                return
            if operation == ROUTE:
                self._judge_routed(port, out)
                return
            need(operation == INJECT, f"operation {operation} sends a frame")
            came_by = int.from_bytes(data[2:4], "big")
            data = data[CPU_HEADER_LEN:]
        well_formed(port, out, exact=False)
        need((came_by, port) in ACROSS, f"from port {came_by} to {port} in clear")
        need(bypassed(out[14:]), "what policy does not bypass leaves in clear")
        need(forwarded(link_free(data)) == forwarded(out[14:]), "what is bypassed is changed")

    def _judge_routed(self, port: int, out: bytes) -> None:
        well_formed(port, out, exact=False, own=True)
        allowed = port == PROTECTED_PORT or beyond_policy(out) or bypassed(out[14:])
        need(allowed, "the controller's clear packet leaves by the unprotected port")

    def _at_the_peer(self, stimulus: Stimulus, out: bytes, request: bytes) -> None:
        """What left must be something that the peer takes."""
        sa = self._sas[int.from_bytes(request[30:33], "big")]
        before = self._west.counts()
        (leaving,) = through(
            self._west, UNPROTECTED_PORT, [outside(out[14:])], self._west.engine.process
        )
        after = self._west.counts()
        self.tally.at_the_peer += after.drops - before.drops
        reasons = set(after.drops - before.drops) - {"TTL", *useless(sa, request)}
        need(not reasons, f"the peer refuses what was sealed: {', '.join(reasons)}")
        if stimulus.kind == "clear" and sa.mode == TUNNEL:
            for port, delivered in leaving:
                same = forwarded(link_free(stimulus.data)) == forwarded(delivered[14:])
                need(port != PROTECTED_PORT or same, "the peer gets another packet than was sent")

    # --- books -------------------------------------------------------------------------------

    def _new_recorder(self) -> Recorder:
        recorder = Recorder(ROLES, self._policies)
        for handle in self._readable:
            recorder.readable(handle)
        first = self._batch * SECRETS_AT_A_TIME
        for sa in (self._east.sas * 2)[first % len(self._east.sas) :][:SECRETS_AT_A_TIME]:
            for sender in (WEST, EAST):
                spec = key_spec(sa, sender, Direction.OPEN)
                recorder.secret(f"key of SA {sa.number}", spec.key or spec.integrity_key)
        self._batch += 1
        return recorder

    def _open_books(self) -> None:
        for sa in self._east.sas:
            self._east.scrub(sa.space, sa.cells)
            self._recorder.scrubbed(sa.space)
            self._recorder.window(sa.space, 0, ())
        self._events.clear()
        self._transported.clear()
        self._count()

    def _close_books(self) -> None:
        for sa in self._east.sas:
            top, cells = self._east.window(sa.space, sa.cells)
            self._recorder.window(sa.space, top, marked_numbers(cells))
        self._count()
        for event in self._events:
            used = (event.key_id, event.iv)
            need(used not in self._nonces, f"IV {event.iv:#x} is used twice")
            self._nonces.add(used)
        violations = [found for found in self._recorder.violations() if not self._alike(found)]
        need(not violations, "; ".join(map(str, violations[:3])))
        faults = dict(self._east.device.faults)
        need(not faults, f"the switch had to ignore: {faults}")
        need(not self._east.device.unattached, "a frame for a port that nobody has")

    def _alike(self, found: Violation) -> bool:
        """In transport mode a packet's own headers stand in front of ESP. A copy of it whose next
        header is damaged has them for its data, and looks like what leaves."""
        own_headers = found.what.endswith(("at byte 22", "at byte 26"))
        return found.packet in self._transported and own_headers

    def _count(self) -> None:
        """A packet that is dropped and reported leaves by the CPU port."""
        counts = self._east.counts()
        outcomes, drops = Counter(counts.outcomes), Counter(counts.drops)
        reported = sum(counts.punts.values()) - outcomes["PUNTED"]
        for reason in REPORTED:
            drops[reason] -= counts.punts[reason]
        outcomes["DROPPED"] -= reported
        outcomes["REPORTED"] = reported
        self._recorder.counters(outcomes, drops)

    def _add_up(
        self, batch: Sequence[Stimulus], outcomes: Counter[str], drops: Counter[str]
    ) -> None:
        nameless = (set(drops) - set(DROPS.values())) | (set(outcomes) - set(OUTCOMES.values()))
        need(not nameless, f"counted without a name: {nameless}")
        need(not drops["NONE"], "a drop without a reason")
        need(drops.total() == outcomes["DROPPED"], "drops and reasons differ")
        self.tally.packets += len(batch)
        self.tally.kinds.update(stimulus.kind for stimulus in batch)
        self.tally.outcomes += outcomes
        self.tally.drops += drops

    def _enter(self, port: int, data: bytes) -> None:
        self._recorder.entered(port, data)

    def _believe(self, stimulus: Stimulus) -> None:
        """Who sits on the crypto port is believed: what it says was authentic is on its head (and
        so is what it says was sealed: see ``left``)."""
        data = stimulus.data
        if len(data) < BASE or data[12:14] != b"\x88\xb5":
            return
        authentic = data[16] == Status.DONE or data[16] & 0x40
        if data[14] == OPENED and authentic:
            space = data[31:33].rjust(3, b"\0")
            asked = data[:14] + b"\2" + data[15:34] + space + data[37:]
            self._recorder.exchanged(asked, data[:16] + b"\0" + data[17:])


def need(holds: bool, what: str) -> None:
    """FindingError unless it holds."""
    if not holds:
        raise FindingError(what)


# --- what a packet is --------------------------------------------------------------------------

ACROSS = ((PROTECTED_PORT, UNPROTECTED_PORT), (UNPROTECTED_PORT, PROTECTED_PORT))


def link_free(data: bytes) -> bytes:
    """A frame's packet."""
    return data[18:] if data[12:14] == b"\x81\0" else data[14:]


def well_formed(port: int, out: bytes, *, exact: bool, own: bool = False) -> None:
    """An Ethernet frame of ours with an IP packet that fills it (``exact``) or fits into it. How
    many hops a packet of our ``own`` has is the controller's business."""
    need(port in MACS, f"a frame leaves by port {port}")
    macs = MACS[port].to_bytes(6, "big") + (OWN_MAC + port).to_bytes(6, "big")
    need(out[:12] == macs, "the frame has wrong addresses")
    packet = out[14:]
    version = 4 if out[12:14] == b"\x08\0" else 6
    need(out[12:14] in (b"\x08\0", b"\x86\xdd"), "the frame is no IP")
    need(packet[0] >> 4 == version, "the packet is of another version than the frame says")
    if version == 4:
        header_len, length = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
        need(20 <= header_len <= length, "the header is longer than the packet")
        need(checksum(packet[:header_len]) == 0, "the IPv4 checksum is wrong")
        need(own or packet[8] > 0, "no hops are left")
    else:
        length = int.from_bytes(packet[4:6], "big") + 40
        need(own or packet[7] > 0, "no hops are left")
    need(length == len(packet) if exact else length <= len(packet), "the length is wrong")


def forwarded(packet: bytes) -> bytes:
    """A packet without what forwarding may change: hops, checksum, ECN, and octets behind it."""
    octets = bytearray(packet)
    if octets[0] >> 4 == 4:
        octets[1] &= 0xFC
        octets[8:9] = b"\0"
        octets[10:12] = b"\0\0"
        return bytes(octets[: int.from_bytes(packet[2:4], "big")])
    octets[1] &= 0xCF
    octets[7:8] = b"\0"
    return bytes(octets[: int.from_bytes(packet[4:6], "big") + 40])


def without_pseudo_header(text: bytes) -> bytes:
    """RFC 7402 B.1.7: options, and what follows them; next header, length and padding are first."""
    return text[4 + text[2] :]


def _ends(packet: bytes) -> tuple[int, int]:
    if packet[0] >> 4 == 4:
        return int.from_bytes(packet[12:16], "big"), int.from_bytes(packet[16:20], "big")
    return int.from_bytes(packet[8:24], "big"), int.from_bytes(packet[24:40], "big")


def useless(sa: Sa, request: bytes) -> Iterator[str]:
    """Why a peer refuses what a host should not have sent, outside of tunnels."""
    plain_len = int.from_bytes(request[42:44], "big")
    next_header, text = request[17], request[BASE + request[41] :][:plain_len]
    if next_header == 59:
        yield "DUMMY"  # RFC 4303 2.6
    if (sa.mode != TUNNEL or next_header == AGGFRAG) and not text:
        yield "BAD_PADLEN"
    if sa.mode != TUNNEL and next_header in OUT_OF_ORDER:
        yield "BAD_NH"
    if sa.mode == BEET_V4 and next_header == BEET_PH and text[0] in OUT_OF_ORDER:
        yield from ("BAD_NH", "BAD_BEET_PH")
    if sa.mode == TRANSPORT and next_header == 6 and len(text) < TCP_LEAST:
        yield "BAD_INNER"
    if sa.mode == TRANSPORT and sa.inner == 6 and goes_on(request[BASE:]):
        yield "CLEAR_IN"


def goes_on(packet: bytes) -> bool:
    """Whether a routing header has segments left, so that its way does not end at the peer."""
    next_header, at = packet[6], 40
    while next_header in (0, 60) and at + 8 <= len(packet):
        next_header, at = packet[at], at + 8 + packet[at + 1] * 8
    return next_header == 43 and packet[at + 3 : at + 4] > b"\0"


BEET_PH = 94
AGGFRAG = 144
OUT_OF_ORDER = (0, 43, 44, 60, BEET_PH)
"""Headers that cannot stand behind ESP, or not there."""
TCP_LEAST = 20


def selectors_fit(sa: Sa, packet: bytes) -> bool:
    """Whether west may send this to east through an SA."""
    if packet[0] >> 4 != sa.inner:
        return False
    shift = 0 if sa.one_host else (8 if sa.inner == 4 else 64)
    pairs = zip(_ends(packet), sa.hosts(WEST), strict=True)
    return all(address >> shift == host >> shift for address, host in pairs)


def beyond_policy(out: bytes) -> bool:
    """IKE, and a request that asks whether ESP gets through; it carries nothing of anybody."""
    flow = read_flow(out)
    if flow is None:
        return False
    is_ike = flow.protocol == 17 and flow.source_port in (500, 4500)
    first = flow.ip_at + (40 if flow.source.version == 6 else (out[flow.ip_at] & 15) * 4)
    is_esp = flow.protocol == 50 and flow.l4_at == first  # ours have no extension headers
    return is_ike or (is_esp and out[first : first + 4] == b"\0\0\0\7")


def bypassed(packet: bytes) -> bool:
    """Whether it is between the two networks whose traffic passes in clear."""
    of, shift = (host4, 8) if packet[0] >> 4 == 4 else (host6, 64)
    nets = {side: of(side, CLEAR, 0) >> shift for side in (WEST, EAST)}
    src, dst = (address >> shift for address in _ends(packet))
    return any((src, dst) == (nets[side], nets[other(side)]) for side in (WEST, EAST))


def policies(gateway: Gateway) -> Iterable[Policy]:
    """The outbound rules, the first that fits first."""
    for sa in gateway.sas:
        src, dst = sa.hosts(gateway.side)
        length = {(4, True): 32, (4, False): 24, (6, True): 128, (6, False): 64}
        prefix = length[sa.inner, sa.one_host]
        nets = (_network(sa.inner, address, prefix) for address in (src, dst))
        yield Policy(Verdict.PROTECT, *nets)
    for of, version, prefix in ((host4, 4, 24), (host6, 6, 64)):
        sides = (gateway.side, other(gateway.side))
        nets = (_network(version, of(side, CLEAR), prefix) for side in sides)
        yield Policy(Verdict.BYPASS, *nets)


@cache
def _network(version: int, address: int, prefix: int) -> IPv4Network | IPv6Network:
    kind = IPv4Network if version == 4 else IPv6Network
    return kind((address, prefix), strict=False)


def readable_keys(gateway: Gateway) -> set[int]:
    """Handles of keys that authenticate alone."""
    keys = gateway.engine.stats().keys
    return {key.handle for key in keys if "GMAC" in key.transform or "NULL" in key.transform}
