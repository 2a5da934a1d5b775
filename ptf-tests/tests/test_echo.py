"""ESP ping (digest j.2: J1 and J2): requests under SPI 7 that the gateway answers under SPI 8."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from finsy import P4MeterConfig, P4MeterEntry
from finsy.proto import p4r

from harness import frames, tables
from harness.frames import fragment6, options6
from harness.gateway import Frame, PacketOut, Verdict
from harness.ids import Drop, Op, Outcome, Punt
from harness.modes import packet_of
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import (
    GATEWAY,
    GATEWAY6,
    GATEWAY_2,
    HOST,
    HOST6,
    LOCAL_ID,
    PEER,
    PEER6,
    PROTECTED,
    REMOTE,
    REMOTE6,
    REMOTE_HOST6,
    SITE,
    SITE6,
    UNPROTECTED,
)
from harness.tunnels import NAT_T

REQUEST, REPLY = 7, 8
PING = bytes.fromhex("000000070000000002000004beef000170696e67")
PONG = bytes.fromhex("000000080000000003000004beef000170696e67")
SHORT = bytes.fromhex("00000007000000000102023b")
SHORT_REPLY = bytes.fromhex("00000008000000000102023b")
WAY_BACK = 0x80
"""The flag R: four octets with an SPI stand in front of the data."""
VERSIONS = (4, 6)
PROXY = 17


def echo(
    data: bytes = b"ping",
    *,
    spi: int = REQUEST,
    kind: int = 2,
    flags: int = 0,
    length: int | None = None,
    seq: int = 0,
) -> bytes:
    """An echo; the length may lie."""
    size = len(data) - 4 * bool(flags & WAY_BACK) if length is None else length
    return struct.pack("!IIBBHHH", spi, seq, kind, flags, size, 0xBEEF, 1) + data


def packet(octets: bytes, version: int = 4, **fields: Any) -> bytes:
    """From the peer to us."""
    return (frames.outer6 if version == 6 else frames.outer)(octets, **fields)


def answer(octets: bytes, version: int = 4, **fields: Any) -> Frame:
    """From us to the peer; hops begin anew."""
    ends = {"src": GATEWAY6, "dst": PEER6} if version == 6 else {"src": GATEWAY, "dst": PEER}
    fields = {"hlim" if version == 6 else "ttl": 64, **ends, **fields}
    return Frame(UNPROTECTED, frames.delivered(UNPROTECTED, packet(octets, version, **fields)))


class EchoTest(GatewayTest):
    """Requests from the peer.  They are in clear, as their answers."""

    shows_payload = True

    def allow(self) -> None:
        """Both addresses answer."""
        self.gw.insert(*(tables.echo(LOCAL_ID[address]) for address in (GATEWAY, GATEWAY6)))

    def ask(self, *octets: bytes, version: int = 4, **fields: Any) -> Verdict:
        """Sends requests."""
        sent = [packet(each, version, **fields) for each in octets]
        return self.gw.send(UNPROTECTED, *(frames.ethernet(UNPROTECTED, each) for each in sent))

    def answered(self, octets: bytes, expected: bytes, version: int = 4) -> None:
        """Proves: the answer alone comes out, and is no longer than what was asked."""
        verdict = self.ask(octets, version=version)
        self.assertEqual(dict(verdict.drops), {})
        self.assertEqual(dict(verdict.outcomes), {Outcome.FORWARDED: 1})
        self.assertEqual(verdict.outputs, [answer(expected, version)])
        self.assertEqual((verdict.packet_ins, verdict.requests), ([], []))
        self.assertLessEqual(len(expected), len(octets))

    def bad(self, *octets: bytes, version: int = 4, **fields: Any) -> None:
        """Proves: BAD_ECHO."""
        verdict = self.ask(*octets, version=version, **fields)
        self.assert_refused(verdict, Drop.BAD_ECHO, len(octets))


class EchoIsOffByDefault(EchoTest):
    """Nothing is answered where nobody has said so: NO_ECHO; nor at the other addresses of ours."""

    def runTest(self) -> None:
        for version in VERSIONS:
            for octets in (PING, SHORT, echo(bytes(500))):
                verdict = self.ask(octets, version=version)
                self.assert_refused(verdict, Drop.NO_ECHO)
        self.allow()
        self.assert_refused(self.ask(PING, dst=GATEWAY_2), Drop.NO_ECHO)
        self.gw.delete(tables.echo(LOCAL_ID[GATEWAY]))
        self.assert_refused(self.ask(PING), Drop.NO_ECHO)
        self.answered(PING, PONG, 6)


class RequestIsAnswered(EchoTest):
    """j.9 1: J2, octet by octet; IPv4 and IPv6."""

    def runTest(self) -> None:
        self.allow()
        for version in VERSIONS:
            self.answered(PING, PONG, version)


class EveryLengthIsAnswered(EchoTest):
    """Data of 0 to 70 octets and more comes back as it was; so do octets behind it, and the number
    that is not looked at."""

    def runTest(self) -> None:
        self.allow()
        for version in VERSIONS:
            for size in (*range(71), 255, 256, 512, 1000, 1400):
                data = bytes(n * 7 + 1 & 0xFF for n in range(size))
                self.answered(echo(data), echo(data, spi=REPLY, kind=3), version)
            behind = echo(b"ping and more", length=4, seq=0xDEADBEEF)
            expected = echo(b"ping and more", length=4, seq=0xDEADBEEF, spi=REPLY, kind=3)
            self.answered(behind, expected, version)


class ShortRequestIsAnswered(EchoTest):
    """j.9 11: J1, 12 octets with the trailer of an empty packet; any other 12 octets are not."""

    def runTest(self) -> None:
        self.allow()
        for version in VERSIONS:
            self.answered(SHORT, SHORT_REPLY, version)
            wrong = [SHORT[:place] + b"\x11" + SHORT[place + 1 :] for place in range(8, 12)]
            self.bad(*wrong, SHORT + b"\0", SHORT + bytes(4), version=version)


class ReplyGoesToTheController(EchoTest):
    """j.9 2: SPI 8 is never answered, allowed or not: the controller has it, and knows whether it
    has asked; two of us do not play table tennis."""

    def runTest(self) -> None:
        for _ in range(2):
            for version in VERSIONS:
                for octets in (PONG, SHORT_REPLY, PING[:3] + b"\x08" + PING[4:]):
                    frame = frames.ethernet(UNPROTECTED, packet(octets, version))
                    self.assertEqual(self.punted(Punt.ECHO, UNPROTECTED, frame).payload, frame)
            self.gw.reset(self.session.base)
            self.allow()


class DataLongerThanThePacket(EchoTest):
    """j.9 3: BAD_ECHO, by one octet or by all that 16 bits can say; what pads the frame is no
    data."""

    def runTest(self) -> None:
        self.allow()
        lies = [(data, len(data) + n) for data in (b"", b"ping", bytes(99)) for n in (1, 2, 60)]
        lies += [(b"ping", n) for n in (0x3FFF, 0x4000, 0xFFF0, 0xFFFF)]
        for version in VERSIONS:
            self.bad(*(echo(data, length=n) for data, n in lies), version=version)
            self.bad(*(echo(b"", length=n) for n in (1, 4)), version=version)
            head = packet(echo(b"", length=4), version)
            frame = frames.ethernet(UNPROTECTED, head, pad=bytes(30))
            self.refuse(Drop.BAD_ECHO, UNPROTECTED, frame)


class WayBackIsSkipped(EchoTest):
    """j.9 4: four octets with an SPI for the way back stay behind, and so does the flag; the answer
    is four octets shorter."""

    def runTest(self) -> None:
        self.allow()
        for version in VERSIONS:
            for size in (0, 1, 4, 60, 1000):
                data = bytes(n * 5 + 3 & 0xFF for n in range(size))
                request = echo(b"\0\0\x20\x02" + data, flags=WAY_BACK)
                self.answered(request, echo(data, spi=REPLY, kind=3), version)
            request = echo(b"\0\0\x20\x02ping", flags=0xFF)
            self.answered(request, echo(b"ping", spi=REPLY, kind=3), version)
            short = echo(b"\0\0\x20\x02", flags=WAY_BACK, length=1)
            self.bad(short, version=version)


class OtherFlagsAreCleared(EchoTest):
    """j.2: the flags of an answer are 0."""

    def runTest(self) -> None:
        self.allow()
        for bit in range(7):
            self.answered(echo(flags=1 << bit), PONG)


class OtherKinds(EchoTest):
    """Sub-types that are no request under SPI 7: BAD_ECHO; an answer (3) as well."""

    def runTest(self) -> None:
        self.allow()
        kinds = [n for n in range(256) if n != 2]
        self.bad(*(echo(kind=n) for n in kinds))
        self.bad(*(echo(kind=n) for n in (0, 1, 3, 4)), version=6)


class TooShortForAnEcho(EchoTest):
    """Fewer octets than a header has: RUNT, also where the frame is padded."""

    def runTest(self) -> None:
        self.allow()
        for version in VERSIONS:
            for size in range(4, 12):
                self.assert_refused(self.ask(PING[:size], version=version), Drop.RUNT)
            for size in range(12, 16):
                verdict = self.ask(PING[:size], version=version)
                self.assertEqual((verdict.outputs, verdict.packet_ins), ([], []))
                self.assertLessEqual(set(verdict.drops), {Drop.RUNT, Drop.BAD_ECHO})
                padded = frames.ethernet(UNPROTECTED, packet(PING[:size], version), pad=bytes(40))
                self.refuse(Drop.BAD_ECHO, UNPROTECTED, padded)


class PaddedFrames(EchoTest):
    """What pads the frame of a request is no part of it, and stays behind the answer."""

    def runTest(self) -> None:
        self.allow()
        for octets, expected in ((PING, PONG), (SHORT, SHORT_REPLY)):
            pad = b"\x55" * 14
            out = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, packet(octets), pad=pad))
            self.assertEqual(out.data, answer(expected).data + pad)


class BehindOptions(EchoTest):
    """IPv4 options and IPv6 extension headers in front, which an answer would have to take over:
    BAD_ECHO; fragments: OUTER_FRAGMENT."""

    def runTest(self) -> None:
        self.allow()
        for octets in (PING, SHORT):
            for size in (4, 8, 40):
                self.bad(octets, options=b"\1" * size)
            for chain in ((options6(0),), (options6(60),), (options6(0), options6(60))):
                self.bad(octets, version=6, chain=chain)
            for flags, place in (("MF", 0), (0, 5), ("MF", 5)):
                verdict = self.ask(octets, flags=flags, frag=place)
                self.assert_refused(verdict, Drop.OUTER_FRAGMENT)
            verdict = self.ask(octets, version=6, chain=(fragment6(0),))
            self.assert_refused(verdict, Drop.OUTER_FRAGMENT)


class InUdp(EchoTest):
    """j.9 6: in UDP there is none: BAD_SPI."""

    def runTest(self) -> None:
        self.allow()
        for version in VERSIONS:
            for octets in (PING, PONG, SHORT):
                verdict = self.ask(octets, version=version, udp=NAT_T)
                self.assert_refused(verdict, Drop.BAD_SPI)


class FromOurSide(EchoTest):
    """Requests from our side are for the controller, as all that is addressed to us there."""

    def runTest(self) -> None:
        self.allow()
        frame = frames.ethernet(PROTECTED, packet(PING, src=HOST))
        self.assertEqual(self.punted(Punt.LOCAL, PROTECTED, frame).payload, frame)


class InTheNameOfOthers(EchoTest):
    """A request whose source is behind us is not answered to there: BAD_ECHO.  What names ourselves
    as its source has no way; whoever else is named gets no more than was sent."""

    def runTest(self) -> None:
        self.allow()
        for octets in (PING, SHORT):
            self.bad(octets, src=HOST)
            self.bad(octets, version=6, src=HOST6)
            for source in (GATEWAY, "255.255.255.255", "224.0.0.1", "0.0.0.0"):
                verdict = self.ask(octets, src=source)
                self.assertEqual((verdict.outputs, verdict.packet_ins), ([], []))
                self.assertEqual(sum(verdict.drops.values()), 1)


class ThroughTheGateway(EchoTest):
    """Requests and replies that are for others, or for a proxied host, are ordinary traffic: they
    pass a tunnel both ways as they are, and in clear policy decides."""

    def runTest(self) -> None:
        self.allow()
        for version, site, remote in ((4, SITE, REMOTE), (6, SITE6, REMOTE6)):
            entries = self.gw.installed()
            with self.subTest(version=version):
                inward = self.inbound(inner=version)
                for seq, octets in enumerate(self.pings(), 1):
                    self.accept(inward, seq, self.between(version, octets, ours=False))
                outward = self.protected_outbound(inner=version)
                for octets in self.pings():
                    inner = self.between(version, octets, ours=True)
                    self.seal(outward, inner)
                self.gw.reset(entries)
                self.bypass(Traffic(src=remote, dst=site))
                self.clear(version)
            self.gw.reset(entries)

    def pings(self) -> Iterator[bytes]:
        """Of each kind."""
        yield from (PING, PONG, SHORT, SHORT_REPLY, echo(b"\0\0\x20\x02", flags=WAY_BACK))
        yield echo(bytes(700))

    def between(self, version: int, octets: bytes, *, ours: bool) -> bytes:
        """Between the hosts of both sites."""
        like = packet_of(version, 100, ours=ours)
        if version == 6:
            head = like[:4] + struct.pack("!HB", len(octets), frames.ESP) + like[7:40]
            return head + octets
        head = like[:2] + struct.pack("!H", 20 + len(octets)) + like[4:9] + bytes([frames.ESP])
        head += b"\0\0" + like[12:20]
        checksum = struct.pack("!H", frames.internet_checksum(head))
        return head[:10] + checksum + head[12:] + octets

    def clear(self, version: int) -> None:
        """In clear, by a rule; over IPv6 behind destination options, too."""
        packets = [self.between(version, octets, ours=False) for octets in self.pings()]
        if version == 6:
            ends: dict[str, Any] = {
                "src": REMOTE_HOST6,
                "dst": HOST6,
                "hlim": 9,
                "chain": (options6(60),),
            }
            packets += [frames.ipv6(octets, frames.ESP, **ends) for octets in self.pings()]
        for inner in packets:
            out = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, inner))
            expected = frames.delivered(PROTECTED, frames.rewritten(inner))
            self.assertEqual(out, Frame(PROTECTED, expected))


class OurOwnRequestsPassPolicy(EchoTest):
    """A request of the controller leaves whatever policy says, as IKE does; other ESP of its own
    does not."""

    def runTest(self) -> None:
        self.gw.insert(tables.spd(Traffic(), "discard", priority=1000))
        for octets in (PING, SHORT):
            self.assertEqual(len(self.route(octets).outputs), 1)
        for octets in (PONG, SHORT_REPLY, echo(spi=9), echo(spi=0x1001)):
            self.assert_refused(self.route(octets), Drop.CLEAR_OUT)

    def route(self, octets: bytes) -> Verdict:
        """ROUTE of ESP from us to the peer."""
        frame = frames.ethernet(UNPROTECTED, packet(octets, src=GATEWAY, dst=PEER))
        return self.gw.exchange([PacketOut(Op.ROUTE, frame)])


class ProxiedHostsAreNotAnsweredFor(EchoTest):
    """A host whose ESP is ours answers pings itself, if policy lets them through."""

    def runTest(self) -> None:
        self.gw.insert(tables.local(HOST, PROXY, proxied=True), tables.echo(PROXY))
        for octets in (PING, PONG):
            verdict = self.ask(octets, dst=HOST)
            self.assertEqual((verdict.outputs, verdict.packet_ins), ([], []))
            self.assertEqual(sum(verdict.drops.values()), 1)
            self.assertNotIn(Drop.NO_ECHO, verdict.drops)


class SpisOfPingHaveNoSa(EchoTest):
    """An SA under SPI 7 or 8 gets none of them."""

    def runTest(self) -> None:
        self.allow()
        tunnels = [self.inbound(spi=spi) for spi in (REQUEST, REPLY)]
        self.answered(PING, PONG)
        self.punted(Punt.ECHO, UNPROTECTED, frames.ethernet(UNPROTECTED, packet(PONG)))
        self.assertEqual([tunnel.top() for tunnel in tunnels], [0, 0])


class ManyRequests(EchoTest):
    """j.9 5: beyond the rate requests are dropped on a counter, and nothing else is."""

    BURST = 10
    COUNT = 40

    def runTest(self) -> None:
        self.allow()
        self.configure(P4MeterConfig(cir=1, cburst=self.BURST, pir=1, pburst=self.BURST))
        self.addCleanup(self.configure, None)
        verdict = self.ask(*[PING] * self.COUNT)
        limited = verdict.drops[Drop.ECHO_LIMITED]
        self.assertEqual(verdict.drops.total(), limited)
        self.assertEqual(verdict.outputs, [answer(PONG)] * (self.COUNT - limited))
        self.assertGreaterEqual(limited, self.COUNT // 2)
        self.assertGreaterEqual(len(verdict.outputs), 1)
        self.assert_refused(self.ask(echo(length=99)), Drop.BAD_ECHO)
        frame = frames.ethernet(UNPROTECTED, packet(PONG))
        self.punted(Punt.ECHO, UNPROTECTED, frame)
        self.accept(self.inbound(), 1)

    def configure(self, config: P4MeterConfig | None) -> None:
        """The meter of all pings."""
        schema = self.session.client.schema
        entry = P4MeterEntry("echo_rate", index=0, config=config)
        self.session.client.write([p4r.Update(type=p4r.Update.MODIFY, entity=entry.encode(schema))])
