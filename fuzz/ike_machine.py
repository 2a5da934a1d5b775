"""Two endpoints, any commands, any order of delivery, damage inside and outside the encryption."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from ike_lab import (
    EAST,
    EAST_NET,
    STEADY,
    WEST,
    WEST_NET,
    Lab,
    child,
    east_config,
    path_between,
    west_config,
)
from ike_ledger import live

from fuzz.choices import Choices
from fuzz.mutation import mutate
from fuzz.oracle import PORTS, Oracle, inner_of, message_in, protection_for
from p4esp.ike.codec.encrypted import seal
from p4esp.ike.config import FormatWish, Settings
from p4esp.ike.errors import CommandError
from p4esp.ike.path import Datagram

MAX_STEPS = 60
MAX_FLYING = 32
MAX_HISTORY = 64
SILENCE = 4000.0
"""Seconds after which every IKE SA has found its peer dead."""
OTHER = "10.7.0.0/16", "10.8.0.0/16"
SECOND = FormatWish("eesp-full", subs=4, shown=32)
"""The second child is EESP, or what damage leaves of that; the first is ESP."""


def check(data: bytes) -> None:
    """Run the life that `data` describes; AssertionError or any other exception is a finding."""
    _Life(Choices(data)).run()


class _Life:
    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        there, back = (
            replace(child(*ends, "second"), format=SECOND) for ends in (OTHER, OTHER[::-1])
        )
        self._lab = Lab(
            west_config(children=(child(WEST_NET, EAST_NET), there), dpd_delay=60.0),
            east_config(children=(child(EAST_NET, WEST_NET), back), dpd_delay=60.0, remote=WEST),
            fate=self._hold,
            settings=Settings(retransmission=STEADY, experimental=True),
        )
        self._oracle = Oracle(self._lab)
        self._flying: list[Datagram] = []
        self._history: list[Datagram] = []
        self._steps: tuple[Callable[[], object], ...] = (
            self._deliver,
            self._deliver,
            self._deliver_all,
            self._lose,
            self._copy,
            self._replay,
            self._damage,
            self._damage_inside,
            self._damage_inside,
            self._wait,
            self._command,
            self._command,
            self._connect,
        )

    def run(self) -> None:
        self._connect()
        for _ in range(MAX_STEPS):
            if not self._choices:
                break
            self._steps[self._choices.below(len(self._steps))]()
            self._lab.run(0.0)
            self._oracle.check()
        self._fall_silent()

    def _fall_silent(self) -> None:
        self._lab.fate = lambda datagram: []
        self._lab.run(SILENCE)
        self._oracle.check_silence()

    def _hold(self, datagram: Datagram) -> list[float]:
        self._oracle.sent(datagram)
        for kept, limit in ((self._flying, MAX_FLYING), (self._history, MAX_HISTORY)):
            kept.append(datagram)
            del kept[:-limit]
        return []

    def _take(self) -> Datagram | None:
        flying = self._flying
        return flying.pop(self._choices.below(len(flying))) if flying else None

    def _deliver(self) -> None:
        datagram = self._take()
        if datagram is not None:
            self._oracle.deliver(datagram)

    def _deliver_all(self) -> None:
        for _ in range(MAX_FLYING):
            self._deliver()

    def _lose(self) -> None:
        self._take()

    def _copy(self) -> None:
        if self._flying:
            self._flying.append(self._flying[self._choices.below(len(self._flying))])

    def _replay(self) -> None:
        if self._history:
            self._oracle.deliver(self._history[self._choices.below(len(self._history))])

    def _damage(self) -> None:
        """A damaged copy arrives; the good one may still come."""
        if self._flying:
            original = self._flying[self._choices.below(len(self._flying))]
            self._oracle.deliver(replace(original, data=mutate(original.data, self._choices)))

    def _damage_inside(self) -> None:
        """The peer itself sends nonsense: damaged payloads under good keys, for the original."""
        datagram = self._take()
        if datagram is not None:
            self._oracle.deliver(replace(datagram, data=self._resealed(datagram)))

    def _resealed(self, datagram: Datagram) -> bytes:
        node = self._lab.nodes[datagram.path.remote.host]
        message = message_in(datagram)
        protection = message and protection_for(node, message)
        found = message and inner_of(node, message)
        if not (message and protection and found):
            return datagram.data
        encrypted, inner = found
        cipher, iv = protection._in, encrypted.body[: protection._in.iv_size]
        first = encrypted.first_inner if inner else self._choices.below(256)
        chain = first, mutate(inner, self._choices)
        sealed = seal(message.header, chain, cipher, iv, encrypted.part)
        return PORTS.frame(sealed, datagram.path.remote.port)

    def _wait(self) -> None:
        self._lab.run(float((0, 1, 5, 31, 61, 200)[self._choices.below(6)]))

    def _connect(self) -> None:
        ends = ((self._lab.west, self._lab.west_config), (self._lab.east, self._lab.east_config))
        node, config = ends[self._choices.below(2)]
        path = path_between(WEST, EAST) if node is self._lab.west else path_between(EAST, WEST)
        node.endpoint.initiate(config, self._lab.now, child="net", path=path)
        self._lab.run(0.0)

    def _command(self) -> None:
        node = list(self._lab.nodes.values())[self._choices.below(2)]
        endpoint, now = node.endpoint, self._lab.now
        sas, children = [info.spi for info in endpoint.ike_sas], sorted(live(node))
        commands: list[Callable[[], object]] = []
        if sas:
            ike = sas[self._choices.below(len(sas))]
            commands += [
                lambda: endpoint.create_child(ike, "second", now),
                lambda: endpoint.rekey_ike(ike, now),
                lambda: endpoint.check_liveness(ike, now),
                lambda: endpoint.delete_ike(ike, now),
            ]
        if children:
            spi = children[self._choices.below(len(children))]
            commands += [
                lambda: endpoint.rekey_child(spi, now),
                lambda: endpoint.delete_child(spi, now),
            ]
        if commands:
            with suppress(CommandError):
                commands[self._choices.below(len(commands))]()


def seeds() -> list[bytes]:
    """Lives of many kinds of steps."""
    quiet = bytes([0, 2, 2, 2, 2])
    return [
        quiet + bytes([10, side, 0, command, 2, 2, 2]) for side in (0, 1) for command in range(6)
    ]
