"""The base of all packet tests: one session for the whole run, clean tables for each test, and
the oracle for acceptance and rejection."""

from __future__ import annotations

import itertools
import json
import time
import unittest
from collections import Counter
from pathlib import Path
from typing import Any

import ptf
import ptf.testutils
from finsy import P4DigestEntry, P4TableEntry

from harness import frames, tables, topology
from harness.esp import Key, own_key
from harness.gateway import Frame, Gateway, PacketIn, Verdict
from harness.ids import Drop, Op, Outcome, Punt, Role
from harness.p4runtime import Client
from harness.sa import TUNNELLED6, InboundSa, OutboundSa, cells_for
from harness.tables import Traffic
from harness.topology import (
    GATEWAY6,
    LOCAL_ID,
    PEER6,
    PROTECTED,
    REMOTE,
    REMOTE6,
    SITE,
    SITE6,
    UNPROTECTED,
)
from harness.tunnels import InboundTunnel, OutboundTunnel
from harness.vectors import KEY

FIRST_SPI = 0x10000000
DIGEST_TIMEOUT = 10.0


class Numbers:
    """SA indices, spaces, cells and key handles that no test of this run has used before."""

    def __init__(self) -> None:
        self._indices = itertools.count(1)
        self._handles = itertools.count(0x1001)
        self._next_cell = 0

    def index(self) -> int:
        """An SA index, good for a sequence space as well."""
        return next(self._indices)

    def handle(self) -> int:
        """An engine key handle."""
        return next(self._handles)

    def cells(self, window: int) -> int:
        """The base of a fresh range of replay cells."""
        base, self._next_cell = self._next_cell, self._next_cell + cells_for(window)
        return base


class Session:
    """The connection to the target, opened by the first test."""

    _current: Session | None = None

    def __init__(self) -> None:
        params = ptf.testutils.test_params_get()
        self.client = Client(params["p4rt"], 1, Path(params["p4info"]))
        self.client.wait_ready()
        self.client.become_primary()
        self.gateway = Gateway(self.client, ptf.dataplane_instance)
        self.numbers = Numbers()
        self.gateway.insert(*topology.port_entries(), *topology.route_entries())
        self._enable_digest()
        self.base = self.gateway.installed()

    @classmethod
    def current(cls) -> Session:
        """The session of this run."""
        if cls._current is None:
            cls._current = cls()
        return cls._current

    def _enable_digest(self) -> None:
        digest = P4DigestEntry("sa_event_t", max_list_size=1, max_timeout_ns=0, ack_timeout_ns=0)
        self.client.write([(+digest).encode_update(self.client.schema)])


class GatewayTest(unittest.TestCase):
    """A test against the gateway.  Tables start with ports, routes and neighbours only.

    ``honest_engine`` is False in tests that make answers of authentic packets themselves: they
    move windows, and nobody has seen the packets.  ``shows_payload`` is True where a transform
    encrypts nothing, so that protected packets are seen on the wire.
    """

    honest_engine = True
    shows_payload = False

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Runs the test and leaves a line in the results file for the JUnit report."""
        assert result is not None
        before = _tally(result)
        started = time.monotonic()
        outcome = super().run(result)
        _report(self.id().removesuffix(".runTest"), time.monotonic() - started, before, result)
        return outcome

    def setUp(self) -> None:
        self.session = Session.current()
        self.gw = self.session.gateway
        self.gw.recover()
        self.assertEqual(self.gw.unexplained(), [])
        self.gw.watch.start()
        self.gw.tell_policy()
        self.gw.count()
        self.windows: list[InboundTunnel] = []

    def tearDown(self) -> None:
        self.gw.hook = self.gw.engine.answer
        try:
            self._check_invariants()
        finally:
            self.gw.reset(self.session.base)
        self.assertEqual(self.gw.unexplained() + self._unread_events(), [])

    def _check_invariants(self) -> None:
        """Design, section 2, "Never"."""
        if self.honest_engine:
            for tunnel in self.windows:
                self.gw.watch.window(tunnel.sa.space, tunnel.top(), tunnel.cells())
        self.gw.count()
        self.assertEqual(self.gw.watch.broken(shows_payload=self.shows_payload), [])

    def _unread_events(self) -> list[str]:
        """Digests that the test has not asked for."""
        events = []
        while not self.session.client.digests.empty():
            events.append(f"digest: {self.session.client.digests.get()}")
        return events

    # Security associations

    def inbound(
        self,
        *,
        key: Key = KEY,
        install: bool = True,
        outer: int = 4,
        inner: int = 4,
        **fields: Any,
    ) -> InboundTunnel:
        """A fresh inbound SA: fixture SA-G of the digest, with an SPI of its own, unless
        ``fields`` say otherwise; ``outer`` and ``inner``: IP versions."""
        numbers = self.session.numbers
        window = fields.get("window", 64)
        index = numbers.index()
        defaults = {
            "sa": index,
            "generation": index & 0xFF,
            "handle": numbers.handle(),
            "space": index,
            "cell_base": numbers.cells(window),
            "spi": FIRST_SPI + index,
            **({"local_id": LOCAL_ID[GATEWAY6]} if outer == 6 else {}),
            **({"selectors": TUNNELLED6} if inner == 6 else {}),
            **lengths(key),
        }
        sa = InboundSa(**{**defaults, **fields})
        self.gw.engine.keys[sa.handle] = key
        if install:
            self.gw.insert(*sa.entries(), sa.sad_entry())
        tunnel = InboundTunnel(self.gw, sa, key)
        self.windows.append(tunnel)
        return tunnel

    def outbound(
        self, *, key: Key | None = None, install: bool = True, outer: int = 4, **fields: Any
    ) -> OutboundTunnel:
        """A fresh outbound SA with a key of its own; nothing selects it yet.  ``outer``: the IP
        version of its outer header."""
        numbers = self.session.numbers
        index, handle = numbers.index(), fields.get("handle") or numbers.handle()
        key = key or own_key(handle)
        defaults = {
            "sa": index,
            "generation": index & 0xFF,
            "handle": handle,
            "space": index,
            "spi": FIRST_SPI + index,
            **lengths(key),
            **({"src": GATEWAY6, "dst": PEER6} if outer == 6 else {}),
        }
        sa = OutboundSa(**{**defaults, **fields})
        self.gw.engine.keys[sa.handle] = key
        if install:
            self.gw.insert(*sa.entries())
        return OutboundTunnel(self.gw, sa, key)

    def protected_outbound(
        self, *, policy: int = 1, inner: int = 4, **fields: Any
    ) -> OutboundTunnel:
        """An outbound SA that serves all traffic of one IP version from our site to the remote
        one."""
        tunnel = self.outbound(**fields)
        src, dst = (SITE6, REMOTE6) if inner == 6 else (SITE, REMOTE)
        rule = tables.spd(Traffic(src=src, dst=dst), "protect", policy=policy)
        self.gw.insert(rule, tables.sa_select(policy, dst, tunnel.sa.sa))
        return tunnel

    def bypass(self, traffic: Traffic, role: Role | None = None, priority: int = 100) -> None:
        """A rule that lets traffic pass in clear."""
        self.gw.insert(tables.spd(traffic, "bypass", role=role, priority=priority))

    # The oracle

    def refuse(self, reason: Drop, port: int, *data: bytes, punt: Punt | None = None) -> Verdict:
        """Proves: nothing comes out, and the named counter alone moves, by one a frame."""
        verdict = self.gw.send(port, *data)
        self.assert_refused(verdict, reason, len(data), punt=punt)
        return verdict

    def assert_refused(
        self, verdict: Verdict, reason: Drop, count: int = 1, *, punt: Punt | None = None
    ) -> None:
        """The same for a verdict that is there already."""
        self.assertEqual(verdict.drops, Counter({reason: count}))
        self.assertEqual(verdict.outputs, [])
        self.assertEqual(verdict.outcomes[Outcome.DROPPED], count)
        self.assertEqual(verdict.outcomes[Outcome.FORWARDED], 0)
        self.assertEqual(verdict.punts, Counter({punt: count}) if punt else Counter())
        self.assertEqual(len(verdict.packet_ins), count if punt else 0)

    def forward(self, in_port: int, data: bytes) -> Frame:
        """Proves: exactly one frame comes out and no counter of drops moves; the frame."""
        verdict = self.gw.send(in_port, data)
        self.assertEqual(verdict.drops, Counter())
        self.assertEqual(verdict.packet_ins, [])
        self.assertEqual(len(verdict.outputs), 1)
        return verdict.outputs[0]

    def punted(self, reason: Punt, port: int, data: bytes) -> PacketIn:
        """Proves: the controller alone gets the packet, undropped; the packet-in."""
        verdict = self.gw.send(port, data)
        self.assertEqual(verdict.drops, Counter())
        self.assertEqual(verdict.outputs, [])
        self.assertEqual(verdict.outcomes, Counter({Outcome.PUNTED: 1}))
        self.assertEqual(verdict.punts, Counter({reason: 1}))
        (packet,) = verdict.packet_ins
        self.assertEqual((packet.op, packet.status, packet.port), (reason, Drop.NONE, port))
        return packet

    def accept(self, tunnel: InboundTunnel, seq: int, packet: bytes | None = None) -> None:
        """Proves: the packet under ``seq`` is delivered, octet by octet as it must be."""
        if packet is None:
            packet = frames.inner6() if tunnel.sa.selectors.v6 else frames.inner()
        out = self.forward(UNPROTECTED, tunnel.frame(seq, packet))
        expected = frames.delivered(PROTECTED, frames.rewritten(packet))
        self.assertEqual(out, Frame(PROTECTED, expected))

    def accept_esp(self, data: bytes, packet: bytes, *, port: int = UNPROTECTED) -> None:
        """The same for a frame that the test has made itself."""
        out = self.forward(port, data)
        expected = frames.delivered(PROTECTED, frames.rewritten(packet))
        self.assertEqual(out, Frame(PROTECTED, expected))

    def check_sequence(self, tunnel: InboundTunnel, *steps: tuple[int, Drop]) -> None:
        """Sends sequence numbers one by one; ``Drop.NONE`` means accepted."""
        for seq, reason in steps:
            with self.subTest(window=tunnel.sa.window, seq=hex(seq)):
                if reason == Drop.NONE:
                    self.accept(tunnel, seq)
                else:
                    frame = tunnel.frame(seq, frames.inner())
                    self.refuse(reason, UNPROTECTED, frame)

    def seal(self, tunnel: OutboundTunnel, packet: bytes) -> bytes:
        """Sends ``packet`` out through the tunnel; the outer packet on the wire."""
        out = self.forward(PROTECTED, frames.ethernet(PROTECTED, packet))
        self.assertEqual(out.port, UNPROTECTED)
        header = frames.link_header(UNPROTECTED, 6 if tunnel.sa.outer_v6 else 4)
        self.assertEqual(out.data[: len(header)], header)
        return out.data[len(header) :]

    def event(self) -> dict[str, int]:
        """The next digest."""
        digest = self.session.client.digests.get(timeout=DIGEST_TIMEOUT)
        (event,) = digest.data
        return dict(event)

    def set_policy_version(self, version: int) -> None:
        """Switches the SPD, for the length of this test."""
        self.gw.modify(tables.policy_version(version))
        self.addCleanup(self.gw.modify, tables.policy_version(0))

    def without(self, *entries: P4TableEntry) -> None:
        """Withdraws base entries for the length of this test."""
        self.gw.delete(*entries)
        self.addCleanup(self.gw.insert, *entries)

    def status_of(self, op: Op | int, index: int = 0, value: int = 0) -> int:
        """The status that a control message is answered with."""
        return self.gw.control(op, index, value).status


def lengths(key: Key) -> dict[str, int]:
    """What an SA's entry says of the transform of ``key``."""
    return {"iv_len": key.iv_len, "icv_len": key.icv_len, "align": key.align}


def _tally(result: unittest.TestResult) -> tuple[int, int, int]:
    return len(result.failures), len(result.errors), len(result.skipped)


def _report(
    name: str, seconds: float, before: tuple[int, int, int], result: unittest.TestResult
) -> None:
    failures, errors, skips = before
    problems = [text for _, text in result.failures[failures:] + result.errors[errors:]]
    skipped = [reason for _, reason in result.skipped[skips:]]
    line = {"name": name, "seconds": seconds, "problems": problems, "skipped": skipped}
    path = Path(ptf.testutils.test_params_get()["results"])
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
