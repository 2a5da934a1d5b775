"""Packets that must not pass. Each is dropped on a counter of its own name, and on no other."""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from p4esp.controller.errors import ControllerError
from p4esp.controller.numbers import CRYPTO_PORT, Drop
from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet, Ipv4
from p4esp.demo.facts import Attack
from p4esp.demo.lab import Lab
from p4esp.demo.plan import OUTSIDE
from p4esp.demo.site import Site
from p4esp.demo.traffic import host_frame, host_packet, is_esp
from p4esp.demo.watch import changed, counters_of
from p4esp.engine.descriptor import ETHERTYPE


@dataclass(frozen=True, slots=True)
class Scenario:
    """An attack: what is done, and the drop counter that must move at which gateway."""

    name: str
    what: str
    counter: Drop
    at: Callable[[Lab], Site]
    act: Callable[[Lab], None]


def _left(lab: Lab) -> Site:
    return lab.left


def _right(lab: Lab) -> Site:
    return lab.right


def _send(lab: Lab, payload: bytes = b"attack at dawn") -> None:
    lab.left.host.send(host_frame(lab.left, host_packet(lab.left, lab.right, payload)))
    lab.wire.deliver()


def _captured(lab: Lab) -> bytes | None:
    """An ESP frame of a packet that is delivered as usual; None when there is none."""
    seen: list[bytes] = []

    def tap(frame: bytes) -> bytes:
        seen.append(frame)
        return frame

    lab.wire.on_wire = tap
    _send(lab)
    lab.wire.on_wire = lambda frame: frame
    lab.right.host.receive()
    return next((frame for frame in seen if is_esp(frame)), None)


def _replay(lab: Lab) -> None:
    frame = _captured(lab)
    if frame is not None:
        lab.right.device.inject(OUTSIDE, frame)


def _flip_bit(lab: Lab) -> None:
    def flip(frame: bytes) -> bytes:
        return frame[:60] + bytes((frame[60] ^ 0x10,)) + frame[61:]

    lab.wire.on_wire = flip
    _send(lab)
    lab.wire.on_wire = lambda frame: frame


def _unknown_spi(lab: Lab) -> None:
    spi = next(iter(lab.gateway(lab.right).sas.live)) ^ 1
    esp = struct.pack("!II", spi, 1) + bytes(40)
    _from_outside(lab, Ipv4(lab.left.plan.outer, lab.right.plan.outer, 50, esp))


def _clear(lab: Lab) -> None:
    _from_outside(lab, host_packet(lab.left, lab.right, b"let me in"))


def _from_outside(lab: Lab, packet: Ipv4) -> None:
    plan = lab.right.plan
    frame = Ethernet(plan.mac(OUTSIDE), lab.left.plan.mac(OUTSIDE), ETHERTYPE_IPV4, packet.build())
    lab.right.device.inject(OUTSIDE, frame.build())


def _forged_descriptor(lab: Lab) -> None:
    """Somebody on the crypto port claims to have opened a packet of a live SA.

    All is right, sizes included, but the key handle, which only engine and controller know.
    """
    (live,) = lab.gateway(lab.right).sas.live.values()
    place = live.record.placement
    inner = host_packet(lab.left, lab.right, b"forged").build()
    fields = (0x82, 0x07, 0, 4, live.handles.open ^ 1, 1000)
    names = struct.pack(
        "!IIBBBB", place.sa_in << 8 | place.generation_in, place.space_in << 8 | 2, 20, 8, 8, 36
    )
    descriptor = struct.pack("!BBBBIQ", *fields) + names + struct.pack("!HBB", len(inner), 16, 4)
    esp = struct.pack("!IIQ", live.record.child.spi_in, 1000, 1000)
    outer = Ipv4(lab.left.plan.outer, lab.right.plan.outer, 50, esp + inner + bytes(20)).build()
    body = descriptor + outer[: 36 + len(inner)]
    lab.right.device.inject(CRYPTO_PORT, bytes(12) + ETHERTYPE.to_bytes(2, "big") + body)


def _echo(lab: Lab) -> None:
    """The left engine returns each request as it came: the clear text must not go out."""
    lab.left.engine.tamper = lambda request, _: request
    _send(lab)
    lab.left.engine.tamper = lambda _, reply: reply


def _outside_policy(lab: Lab) -> None:
    packet = host_packet(lab.left, lab.right, b"where to?")
    elsewhere = Ipv4(packet.src, IPv4Address("10.9.9.9"), packet.protocol, packet.payload)
    lab.left.host.send(host_frame(lab.left, elsewhere))


SCENARIOS = (
    Scenario(
        "replayed packet", "an ESP packet that arrived, once more", Drop.REPLAY_DUP, _right, _replay
    ),
    Scenario(
        "flipped bit",
        "one bit of the ciphertext changed on the wire",
        Drop.BAD_ICV,
        _right,
        _flip_bit,
    ),
    Scenario(
        "unknown SPI", "ESP under an SPI that nobody agreed on", Drop.NO_SA, _right, _unknown_spi
    ),
    Scenario(
        "clear packet from outside",
        "what the tunnel should have carried, in clear",
        Drop.CLEAR_IN,
        _right,
        _clear,
    ),
    Scenario(
        "forged descriptor",
        "an 'opened' reply with a guessed key handle",
        Drop.STALE_SA,
        _right,
        _forged_descriptor,
    ),
    Scenario(
        "echoing engine", "the engine returns the clear request", Drop.FORGED_CX, _left, _echo
    ),
    Scenario(
        "outside the policy",
        "a host sends to a network no rule names",
        Drop.POLICY_DISCARD,
        _left,
        _outside_policy,
    ),
)


async def carry_out(lab: Lab, scenario: Scenario) -> Attack:
    """Do it, and say which drop counters moved and what got through.

    ControllerError when there is no SA left to attack.
    """
    for site in lab.sites:
        if not lab.gateway(site).sas.live:
            raise ControllerError(f"{site.plan.name} has no SA any more")
    lab.left.host.receive()
    lab.right.host.receive()
    before = {site.plan.name: counters_of(site, "drops", Drop) for site in lab.sites}
    scenario.act(lab)
    await asyncio.sleep(0)
    lab.wire.deliver()
    counted: dict[str, int] = {}
    for site in lab.sites:
        moved = changed(before[site.plan.name], counters_of(site, "drops", Drop))
        counted |= {f"{site.plan.name}.{name}": n for name, n in moved.items()}
    delivered = sum(len(site.host.receive()) for site in lab.sites)
    where = scenario.at(lab).plan.name
    names = (scenario.name, scenario.what, scenario.counter.name)
    return Attack(*names, gateway=where, counted=counted, delivered=delivered)


def is_repelled(attack: Attack) -> bool:
    """Whether exactly its own counter moved, by one, and nothing got through."""
    own = {f"{attack.gateway}.{attack.counter}": 1}
    return attack.counted == own and attack.delivered == 0
