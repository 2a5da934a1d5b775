"""What fits the path is sealed, one octet more is not (RFC 4301 8; cases PMT, SND-06)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from finsy import P4TableAction

from harness import frames
from harness.esp import CbcKey, ImplicitIvKey, Key
from harness.families import FAMILIES, IP_LEN, FamilyTest, outgoing
from harness.ids import Drop, Punt
from harness.topology import PROTECTED
from harness.tunnels import NAT_T, OutboundTunnel

UNLIMITED = 0xFFFF
SALT = b"salt"
PATHS = (1280, 1500, 9000)


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table in digest 3.7: the inner MTU for each of ``PATHS``."""

    cipher: str
    outer: int
    udp: bool
    inner: tuple[int, int, int]


TABLE = (
    Case("gcm", 4, False, (1226, 1446, 8946)),
    Case("gcm", 4, True, (1218, 1438, 8938)),
    Case("gcm", 6, False, (1206, 1426, 8926)),
    Case("gcm", 6, True, (1198, 1418, 8918)),
    Case("chacha", 4, False, (1226, 1446, 8946)),
    Case("iiv", 4, False, (1234, 1454, 8954)),
    Case("cbc", 4, False, (1214, 1438, 8926)),
    Case("cbc", 4, True, (1198, 1422, 8926)),
    Case("cbc", 6, False, (1198, 1406, 8910)),
)
"""GMAC has the lengths of "gcm", NULL with SHA-256 those of "iiv"."""


def key_of(cipher: str, number: int) -> Key:
    """A key that no other SA has."""
    secret = number.to_bytes(4) * 4
    match cipher:
        case "chacha":
            return Key(secret * 2, SALT, chacha=True)
        case "iiv":
            return ImplicitIvKey(secret, SALT)
        case "cbc":
            return CbcKey(secret * 3, b"")
    return Key(secret, SALT)


class PathMtuTest(FamilyTest):
    """Outbound SAs that know what fits."""

    numbers: ClassVar[list[int]] = [0x70000000]

    def limited(self, inner: int, **fields: Any) -> OutboundTunnel:
        """An AES-GCM SA for all traffic of our site."""
        return self.protected_outbound(inner=inner, **fields)

    def refused(self, tunnel: OutboundTunnel, packet: bytes) -> None:
        """Proves: dropped and shown to the controller, with what fits, and no number taken."""
        before = tunnel.last()
        frame = frames.ethernet(PROTECTED, packet)
        verdict = self.refuse(Drop.TOO_BIG, PROTECTED, frame, punt=Punt.TOO_BIG)
        (told,) = verdict.packet_ins
        self.assertEqual((told.op, told.status), (Punt.TOO_BIG, Drop.TOO_BIG))
        self.assertEqual((told.index, told.value), (tunnel.sa.sa, tunnel.sa.inner_mtu))
        self.assertEqual(told.port, PROTECTED)
        self.assertEqual(told.payload, frame[:14] + frames.rewritten(packet))
        self.assertEqual(verdict.requests, [])
        self.assertEqual(tunnel.last(), before)


class Pmt01ExactlyFits(PathMtuTest):
    """PMT-01: 1446 octets over IPv4 make 1500; 1447 are too big, whatever DF says: what becomes
    of a packet that may be fragmented is for the controller to say."""

    def runTest(self) -> None:
        tunnel = self.limited(4, inner_mtu=1446)
        for flags in ("DF", ""):
            self.assertEqual(len(self.seal(tunnel, outgoing(4, 1446, flags=flags))), 1500)
            self.refused(tunnel, outgoing(4, 1447, flags=flags))
        self.assertEqual(tunnel.last(), 2)


class Pmt02WholeTable(PathMtuTest):
    """PMT-02: for each cell of digest 3.7 and either inner family, what fits stays within the
    path, and what is one octet longer would not."""

    def runTest(self) -> None:
        for case in TABLE:
            for path, limit in zip(PATHS, case.inner, strict=True):
                for inner in (4, 6):
                    with self.subTest(case=case, path=path, inner=inner):
                        self.cell(case, path, limit, inner)

    def cell(self, case: Case, path: int, limit: int, inner: int) -> None:
        tunnel = self.sealing(case, inner, limit)
        self.assertLessEqual(len(self.seal(tunnel, outgoing(inner, limit))), path)
        self.refused(tunnel, outgoing(inner, limit + 1))
        self.gw.reset(self.session.base)
        tunnel = self.sealing(case, inner, UNLIMITED)
        self.assertGreater(len(self.seal(tunnel, outgoing(inner, limit + 1))), path)
        self.gw.reset(self.session.base)

    def sealing(self, case: Case, inner: int, limit: int) -> OutboundTunnel:
        """An SA with the lengths of the case's cipher."""
        self.numbers[0] += 1
        key = key_of(case.cipher, self.numbers[0])
        fields: dict[str, Any] = {
            "outer": case.outer,
            "udp": NAT_T if case.udp else None,
            "inner_mtu": limit,
        }
        tunnel = self.protected_outbound(inner=inner, key=key, **fields)
        entry = tunnel.sa.entry()
        assert isinstance(entry.action, P4TableAction)
        lengths = {"iv_len": key.iv_len, "icv_len": key.icv_len, "align": key.align}
        entry.action.args.update(lengths)
        self.gw.modify(entry)
        return tunnel


class Pmt03Ipv6IsTooBig(PathMtuTest):
    """PMT-03: an IPv6 packet of one octet more, through IPv4 and IPv6, with its chain and in
    fragments, is shown to the controller with the MTU it is to announce."""

    def runTest(self) -> None:
        for outer, limit in ((4, 1446), (6, 1426)):
            tunnel = self.limited(6, outer=outer, inner_mtu=limit)
            chain = [frames.options6(0), frames.fragment6(0)]
            for fields in ({}, {"chain": chain}, {"tc": 0xFF}):
                self.refused(tunnel, outgoing(6, limit + 1, **fields))
                self.send_and_open(tunnel, outgoing(6, limit, **fields))
            self.assertEqual(tunnel.last(), 3)
            self.gw.reset(self.session.base)


class Pmt03PaddingDoesNotCount(PathMtuTest):
    """It is the length of the IP packet that counts, not that of its frame."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.limited(inner, outer=outer, inner_mtu=100)
            frame = frames.ethernet(PROTECTED, outgoing(inner, 100), pad=bytes(40))
            wire = self.forward(PROTECTED, frame).data[14:]
            self.assertEqual(tunnel.open(wire), frames.rewritten(outgoing(inner, 100)))
            self.refused(tunnel, outgoing(inner, 101))
            self.gw.reset(self.session.base)


class Pmt06LeastOfIpv6(PathMtuTest):
    """PMT-06: a path of 1280 octets leaves 1206 or less: the SA may let 1280 pass all the same,
    and the outer packet is then longer than the path."""

    def runTest(self) -> None:
        for outer in (4, 6):
            tunnel = self.limited(6, outer=outer, inner_mtu=1280)
            wire = self.seal(tunnel, outgoing(6, 1280))
            self.assertEqual(len(wire), IP_LEN[outer] + 16 + 1280 + 2 + 2 + 16)
            self.refused(tunnel, outgoing(6, 1281))
            self.gw.reset(self.session.base)


class Snd06WhatNoIpPacketHolds(PathMtuTest):
    """SND-06: however large the SA's limit is, what sealing would make longer than an IP packet
    can be is refused."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.limited(inner, outer=outer)
            self.refused(tunnel, outgoing(inner, 0xFFFF - 1023))
            self.gw.reset(self.session.base)


class TtlComesBeforeSize(PathMtuTest):
    """A packet without hops that is too big as well has run out of hops."""

    def runTest(self) -> None:
        for inner, name in ((4, "ttl"), (6, "hlim")):
            tunnel = self.limited(inner, inner_mtu=99)
            frame = frames.ethernet(PROTECTED, outgoing(inner, 100, **{name: 1}))
            self.refuse(Drop.TTL, PROTECTED, frame, punt=Punt.TTL)
            self.assertEqual(tunnel.last(), 0)
            self.gw.reset(self.session.base)
