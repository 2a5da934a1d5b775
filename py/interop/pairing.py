"""Our daemon and a charon on one cable, and the sessions between them.

We are `a.example` at 10.99.0.1 and fd99::1 with 10.99.1.0/24 and fd99:1::/64 behind us; charon is
`b.example` at .2 and ::2 with 10.99.2.0/24 and fd99:2::/64 behind it.
"""

import itertools
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from charon_daemon import Charon, Flavour
from lab.netlab import Lab, Namespace
from our_daemon import P4ESP, OurDaemon
from p4esp.configuration.peers import PeerSection
from p4esp.ike.config import Settings
from p4esp.ike.endpoint import IkeEndpoint, directory
from p4esp.ike.state import Environment
from p4esp.service.spi_pool import SpiPool

Role = Literal["initiator", "responder"]
"""Ours."""
PSK = "a key that both sides know"
OUR_ID, THEIR_ID = "a.example", "b.example"
OURS, THEIRS = ("10.99.0.1", "fd99::1"), ("10.99.0.2", "fd99::2")
OUR_NETS, THEIR_NETS = ("10.99.1.0/24", "fd99:1::/64"), ("10.99.2.0/24", "fd99:2::/64")
IKE, ESP = "aes128gcm16-prfsha256-x25519", "aes128gcm16"
RETRANSMIT = {"retransmit_first": 0.5, "retransmit_base": 1.5, "retransmit_tries": 3}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a session is to be made of, for both sides alike unless one differs."""

    ike: str = IKE
    esp: str = ESP
    version: Literal[4, 6] = 4
    """Of the outer addresses."""
    inner: Literal[4, 6] | None = None
    """Of the inner addresses; None: as the outer."""
    our_peer: Mapping[str, Any] = field(default_factory=dict)
    our_child: Mapping[str, Any] = field(default_factory=dict)
    our_file: Mapping[str, Any] = field(default_factory=dict)
    their_connection: Mapping[str, Any] = field(default_factory=dict)
    their_child: Mapping[str, Any] = field(default_factory=dict)
    their_secrets: tuple[Mapping[str, Any], ...] | None = None
    our_program: tuple[str, ...] = (str(P4ESP),)
    """What our daemon is run by."""

    def _pick(self, pair: tuple[str, str], version: int | None = None) -> str:
        return pair[(version or self.version) == 6]

    def our_configuration(self) -> dict[str, Any]:
        """The file of our daemon."""
        inner = self.inner or self.version
        child = {
            "name": "net",
            "local": [self._pick(OUR_NETS, inner)],
            "remote": [self._pick(THEIR_NETS, inner)],
            "proposals": [self.esp],
            **self.our_child,
        }
        peer = {
            "name": "charon",
            "local": self._pick(OURS),
            "remote": self._pick(THEIRS),
            "local_id": OUR_ID,
            "remote_id": THEIR_ID,
            "psk": PSK,
            "proposals": [self.ike],
            "dpd_delay": 0,
            "children": [child],
            **self.our_peer,
        }
        used = {key: value for key, value in peer.items() if value is not None}
        return {"ike": RETRANSMIT, "peers": [used], **self.our_file}

    def their_configuration(self) -> dict[str, Any]:
        """The connection of charon."""
        inner = self.inner or self.version
        child = {
            "local_ts": [self._pick(THEIR_NETS, inner)],
            "remote_ts": [self._pick(OUR_NETS, inner)],
            "esp_proposals": [self.esp],
            **self.their_child,
        }
        connection = {
            "version": "2",
            "local_addrs": [self._pick(THEIRS)],
            "remote_addrs": [self._pick(OURS)],
            "proposals": [self.ike],
            "local": {"auth": "psk", "id": THEIR_ID},
            "remote": {"auth": "psk", "id": OUR_ID},
            "children": {"net": child},
            **self.their_connection,
        }
        return {"us": connection}

    def secrets(self) -> tuple[Mapping[str, Any], ...]:
        """The secrets of charon."""
        if self.their_secrets is not None:
            return self.their_secrets
        return ({"type": "IKE", "data": PSK, "owners": [OUR_ID, THEIR_ID]},)


@dataclass(slots=True)
class Session:
    """Our daemon, and charon with a connection for it."""

    ours: OurDaemon
    charon: Charon

    def up(self, role: Role) -> tuple[dict[str, Any], dict[str, Any]]:
        """Bring the child up in our role; what each side says of it."""
        if role == "initiator":
            self.ours.tell("up", peer="charon", child="net")
        else:
            self.charon.initiate("net")
        return self.agreed_child()

    def agreed_child(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The one child SA, about which both agree."""
        (ours,) = self.ours.status()["child_sas"]
        (theirs,) = self.charon.children()
        assert (ours["spi_in"], ours["spi_out"]) == (theirs["spi-out"], theirs["spi-in"])
        return ours, theirs

    def their_ike(self) -> dict[str, Any]:
        """The one IKE SA, as charon sees it."""
        (ike,) = self.charon.sas()
        return ike


class Pair:
    """The cable with one charon; sessions come and go on it."""

    def __init__(self, lab: Lab, directory: Path, flavour: Flavour, name: str = "") -> None:
        self.us, self.them = lab.host(f"{name}us"), lab.host(f"{name}them")
        self._connect(lab, name)
        _host_address(self.us, OUR_NETS)
        _host_address(self.them, THEIR_NETS)
        self._directory = directory
        self._serial = itertools.count()
        self.charon = Charon(self.them, directory / "charon", flavour)

    def _connect(self, lab: Lab, name: str) -> None:
        lab.cable(
            (self.us, "wire", [f"{OURS[0]}/24", f"{OURS[1]}/64"]),
            (self.them, "wire", [f"{THEIRS[0]}/24", f"{THEIRS[1]}/64"]),
        )

    @contextmanager
    def session(self, terms: Terms) -> Iterator[Session]:
        """Configure both sides; afterwards charon has nothing of it left."""
        with ExitStack() as stack:
            stack.callback(self.charon.clear)
            self.charon.load(terms.their_configuration(), terms.secrets())
            place = self._directory / f"ours{next(self._serial)}"
            made = OurDaemon(self.us, place, terms.our_configuration(), program=terms.our_program)
            ours = stack.enter_context(made)
            yield Session(ours, self.charon)


class NatPair(Pair):
    """One side is behind a NAT and has 10.98.0.1; the NAT has the address it would have."""

    def __init__(self, lab: Lab, directory: Path, flavour: Flavour, behind: str) -> None:
        """`behind`: `we` or `charon`."""
        super().__init__(lab, directory, flavour, behind)

    def _connect(self, lab: Lab, name: str) -> None:
        self._nat = lab.host(f"{name}nat")
        inside, outside = (self.us, self.them) if name == "we" else (self.them, self.us)
        public, other = (OURS, THEIRS) if name == "we" else (THEIRS, OURS)
        lab.cable((inside, "wire", ["10.98.0.1/24"]), (self._nat, "in", ["10.98.0.254/24"]))
        lab.cable((self._nat, "out", [f"{public[0]}/24"]), (outside, "wire", [f"{other[0]}/24"]))
        inside.route("default", "10.98.0.254")
        self._nat.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self._ranges = itertools.cycle(["40000-49999", "50000-59999"])
        self._masquerade(next(self._ranges))

    def _masquerade(self, ports: str) -> None:
        rules = (
            "flush ruleset; table ip nat { chain out { type nat hook postrouting priority 100; "
            f'oifname "out" meta l4proto udp masquerade to :{ports}; }}; }};'
        )
        self._nat.run("nft", rules)

    def forget_mappings(self) -> None:
        """From now on the NAT gives other ports."""
        self._nat.ip("link", "set", "out", "down")  # masquerading ends with its address
        self._nat.ip("link", "set", "out", "up")
        self._masquerade(next(self._ranges))


def half_open(terms: Terms) -> bytes:
    """An IKE_SA_INIT request that nobody goes on with."""
    peer = PeerSection.model_validate(terms.our_configuration()["peers"][0]).config()
    environment = Environment(
        os.urandom, SpiPool(random.getrandbits), Settings(), wall_clock=partial(datetime.now, UTC)
    )
    endpoint = IkeEndpoint(environment, directory([peer]), 0.0)
    endpoint.initiate(peer, 0.0, child="net")
    (datagram,) = endpoint.datagrams_to_send(0.0)
    return datagram.data


def _host_address(namespace: Namespace, nets: tuple[str, str]) -> None:
    v4, v6 = nets
    namespace.address("lo", v4.replace(".0/24", ".1/32"), v6.replace("/64", "1/128"))
