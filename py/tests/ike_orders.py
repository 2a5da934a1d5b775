"""Every order in which commands and datagrams can meet, tried one after the other.

A run asks `choose(n)` wherever several things could happen next; runs are repeated until every
answer has been given everywhere.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

from ike_lab import LATENCY, Lab, Node
from ike_ledger import assert_mirrored, live

from p4esp.ike.errors import CommandError
from p4esp.ike.events import ChildDown, ChildRekeyed, ChildUp, IkeDown, IkeEstablished, IkeRekeyed
from p4esp.ike.path import Datagram

Choose = Callable[[int], int]
Command = Callable[[Node, float], None]
HEAL = 800.0
"""Seconds after which everything has been answered, given up or forgotten."""


def every_order(limit: int) -> Iterator[Choose]:
    """Choosers, one for each way through a run; AssertionError beyond `limit` of them."""
    prefix: list[int] = []
    for _ in range(limit):
        trail: list[tuple[int, int]] = []
        yield _chooser(prefix, trail)
        while trail and trail[-1][0] == trail[-1][1] - 1:
            trail.pop()
        if not trail:
            return
        prefix = [choice for choice, _ in trail]
        prefix[-1] += 1
    raise AssertionError(f"more than {limit} orders")


def _chooser(prefix: list[int], trail: list[tuple[int, int]]) -> Choose:
    def choose(options: int) -> int:
        choice = prefix[len(trail)] if len(trail) < len(prefix) else 0
        trail.append((choice, options))
        return choice

    return choose


class Meeting:
    """Two connected endpoints, commands about to be given, and a network that `choose` rules."""

    def __init__(self, lab: Lab, commands: list[tuple[Node, Command]], losses: int = 0) -> None:
        """`losses`: how many datagrams may be lost."""
        self.lab = lab
        self._commands = commands
        self._losses = losses
        self._flying: list[Datagram] = []
        lab.fate = self._hold

    def _hold(self, datagram: Datagram) -> list[float]:
        self._flying.append(datagram)
        return []

    def run(self, choose: Choose) -> None:
        """Let everything happen once, in the order chosen; then heal the network."""
        while self._commands or self._flying:
            waiting = len(self._commands) + len(self._flying)
            lost = len(self._flying) if self._losses else 0
            self._do(choose(waiting + lost))
        self.lab.fate = lambda _: [LATENCY]
        self.lab.run(HEAL)

    def _do(self, choice: int) -> None:
        if choice < len(self._commands):
            self._give(*self._commands.pop(choice))
            return
        choice -= len(self._commands)
        if choice < len(self._flying):
            self.lab.deliver(self._flying.pop(choice))
            return
        self._flying.pop(choice - len(self._flying))
        self._losses -= 1

    def _give(self, node: Node, command: Command) -> None:
        with suppress(CommandError):
            command(node, self.lab.now)
        self.lab.settle(0)


def rekey_child(node: Node, now: float) -> None:
    for spi in live(node):
        node.endpoint.rekey_child(spi, now)


def delete_child(node: Node, now: float) -> None:
    for spi in live(node):
        node.endpoint.delete_child(spi, now)


def create_child(node: Node, now: float) -> None:
    node.endpoint.create_child(_ike(node), "net", now)


def rekey_ike(node: Node, now: float) -> None:
    node.endpoint.rekey_ike(_ike(node), now)


def delete_ike(node: Node, now: float) -> None:
    node.endpoint.delete_ike(_ike(node), now)


def check_liveness(node: Node, now: float) -> None:
    node.endpoint.check_liveness(_ike(node), now)


def _ike(node: Node) -> bytes:
    for info in node.endpoint.ike_sas:
        return info.spi
    raise CommandError("there is none")


def assert_settled(lab: Lab) -> None:
    """Both ends hold the same SAs, nothing is left over, and no key was used twice."""
    assert_mirrored(lab)
    for node in (lab.west, lab.east):
        _assert_tidy(node)
        _assert_fresh_keys(node)


def _assert_tidy(node: Node) -> None:
    held = [entry.sa for entry in node.endpoint._entries.values()]
    assert len(held) == len(node.endpoint.ike_sas)
    assert {child.params.spi_in for sa in held for child in sa.children} == set(live(node))
    assert set(node.endpoint._entries.children) == set(live(node))
    told = {event.child.spi_in for event in node.of(ChildDown)}
    assert node.spis.used == told | set(live(node))
    assert node.endpoint.get_timer() is None
    _assert_ike_events(node)


def _assert_ike_events(node: Node) -> None:
    up = [event.ike.spi for event in node.of(IkeEstablished)]
    up += [event.new.spi for event in node.of(IkeRekeyed)]
    down = [event.ike.spi for event in node.of(IkeDown)]
    assert len(set(up)) == len(up)
    assert len(set(down)) == len(down)
    assert set(up) - set(down) == {info.spi for info in node.endpoint.ike_sas}
    assert set(down) <= set(up)


def _assert_fresh_keys(node: Node) -> None:
    made = [event.child for event in node.of(ChildUp)]
    made += [event.new for event in node.of(ChildRekeyed)]
    keys = [child.keymat.inbound.key for child in made]
    keys += [child.keymat.outbound.key for child in made]
    keys += [bytes(key) for facts in node.keys for key in (facts[3].ei, facts[3].er)]
    assert len(set(keys)) == len(keys)
