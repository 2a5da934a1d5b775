"""Message IDs after one of a cluster has taken over (RFC 6311): what is said, and its rules."""

from dataclasses import dataclass
from struct import Struct
from typing import Final, Self

from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import NotifyType
from p4esp.ike.notifies import MalformedNotifyError, data_of, note_ignored, usable_data
from p4esp.ike.state import IkeSaState
from p4esp.ike.window import MAX_MESSAGE_ID

SYNC: Final = NotifyType.IKEV2_MESSAGE_ID_SYNC
COUNTERS: Final = NotifyType.IPSEC_REPLAY_COUNTER_SYNC
NONCE_SIZE: Final = 4
_FORM: Final = Struct(f"!{NONCE_SIZE}sII")
_SIZES: Final = {False: 4, True: 8}
"""Octets of a counter's delta, without and with ESN."""


@dataclass(frozen=True, slots=True)
class SyncIds:
    """IKEV2_MESSAGE_ID_SYNC: the sender's numbers."""

    nonce: bytes
    send: int
    """Message ID of its next request."""
    receive: int
    """Message ID that it expects of the other end's next request."""

    def notify(self) -> Notify:
        """The notify that holds them. Of an end that has used up its message IDs, the last one."""
        numbers = (min(number, MAX_MESSAGE_ID) for number in (self.send, self.receive))
        return Notify(SYNC, _FORM.pack(self.nonce, *numbers))

    @classmethod
    def of(cls, message: PayloadSet, *allowed: NotifyType) -> Self:
        """Those of a message that has nothing else, but for notifies that are `allowed`;
        `MalformedNotifyError`.
        """
        data = data_of(SYNC, message, (_FORM.size,))
        if data is None:
            raise MalformedNotifyError(f"there is no N({SYNC.name})")
        accepted = (SYNC, *allowed)
        if any(not isinstance(p, Notify) or p.type not in accepted for p in message.payloads):
            raise MalformedNotifyError(f"N({SYNC.name}) is not alone; accepted: nothing else")
        return cls(*_FORM.unpack(data))


def counter_notify(sa: IkeSaState, delta: int) -> Notify:
    """IPSEC_REPLAY_COUNTER_SYNC: by how much the peer is to raise what it sends with."""
    extended = any(child.params.esn for child in sa.children)
    return Notify(COUNTERS, delta.to_bytes(_SIZES[extended], "big"))


def counter_delta(sa: IkeSaState, message: PayloadSet) -> int:
    """What a message says of our counters; 0: nothing that counts. All child SAs must be alike."""
    if not sa.announced.agreed(NotifyType.IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED):
        return 0
    data = usable_data(sa, COUNTERS, message, tuple(_SIZES.values()))
    if data is None:
        return 0
    kinds = {child.params.esn for child in sa.children}
    if any(len(data) != _SIZES[extended] for extended in kinds):
        note_ignored(sa, f"N({COUNTERS.name}) of {len(data)} octets does not fit all child SAs")
        return 0
    return int.from_bytes(data, "big")
