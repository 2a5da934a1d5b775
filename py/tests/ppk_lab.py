"""Postquantum preshared keys for the IKE lab: policies, and a source in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ike_lab import east_config, west_config
from ike_meddler import Meddler

from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import NotifyType
from p4esp.ike.events import IkeEstablished
from p4esp.ike.ppk import FIXED, OPAQUE, FixedPpks, PostquantumKey, PpkMode, PpkPolicy
from p4esp.ike.proposals import Template

SECRET = bytes(range(0x40, 0x60))
INT, AUTH, NONE = PpkMode.INTERMEDIATE, PpkMode.AUTH, PpkMode.NONE
PLAIN = "aes256gcm16-prfsha256-x25519"


def key(name: str = "one", secret: bytes = SECRET, kind: int = FIXED) -> PostquantumKey:
    return PostquantumKey(bytes([kind]) + name.encode(), secret)


def once(name: str, secret: bytes = SECRET) -> PostquantumKey:
    return key(name, secret, OPAQUE)


def policy(*keys: PostquantumKey, **more: object) -> PpkPolicy:
    return PpkPolicy(FixedPpks(keys or (key(),)), **more)  # type: ignore[arg-type]


@dataclass
class Ring:
    """A source in memory whose keys of type OPAQUE are used once."""

    keys: list[PostquantumKey]
    used: list[bytes] = field(default_factory=list)
    broken: bool = False

    def _left(self) -> list[PostquantumKey]:
        if self.broken:
            raise LookupError("the disk is gone")
        return [one for one in self.keys if not one.one_time or one.identity not in self.used]

    def any(self) -> bool:
        return bool(self._left())

    def offer(self) -> Sequence[PostquantumKey]:
        left = self._left()
        single = [one for one in left if one.one_time][:1]
        self.used += [one.identity for one in single]
        return [*single, *(one for one in left if not one.one_time)]

    def find(self, identity: bytes) -> PostquantumKey | None:
        return next((one for one in self._left() if one.identity == identity), None)

    def claim(self, one: PostquantumKey) -> bool:
        if one not in self._left():
            return False
        self.used.append(one.identity)
        return True


def lab_for(
    west: PpkPolicy | None, east: PpkPolicy | None, proposals: str = PLAIN, **more: object
) -> Meddler:
    """Two ends with their policies, connected unless `connect` is false."""
    connect, settings = more.pop("connect", True), more.pop("settings", None)
    templates = (Template.ike(proposals),)
    lab = Meddler(
        west_config(ppk=west, proposals=templates, **more),
        east_config(ppk=east, proposals=templates, **more),
        settings=settings,  # type: ignore[arg-type]
    )
    if connect:
        lab.connect()
    return lab


def modes(lab: Meddler) -> list[str]:
    """How the PPK got into the keys, at either end; nothing for an end without IKE SA."""
    found = [lab.west.of(IkeEstablished), lab.east.of(IkeEstablished)]
    return [str(event.ike.ppk) for events in found for event in events]


def ids(lab: Meddler) -> list[str]:
    return [node.one(IkeEstablished).ike.ppk_id for node in (lab.west, lab.east)]


def named(payloads: object, kind: NotifyType) -> list[bytes]:
    """Data of the notifies of a type."""
    return [one.data for one in payloads.every(Notify) if one.type == kind]  # type: ignore[attr-defined]
