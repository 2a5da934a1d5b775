"""Digest configuration and digest lists (section 9.8)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from finsy.proto import p4d, p4r

from p4esp.p4rt.bytestring import encode_uint
from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.p4rt.handler import AddEntity, check_update_type
from p4esp.p4rt.schema import DigestInfo

MAX_LIST_SIZE = 4096
MAX_UNACKNOWLEDGED = 65536

Values = tuple[int, ...]
SendDigest = Callable[[p4r.DigestList], None]


@dataclass(slots=True)
class _Learning:
    """State of one enabled digest; times in nanoseconds."""

    info: DigestInfo
    config: p4r.DigestEntry.Config
    buffer: dict[Values, None] = field(default_factory=dict)
    first_at: int = 0
    unacknowledged: dict[Values, None] = field(default_factory=dict)
    sent: dict[int, tuple[int, tuple[Values, ...]]] = field(default_factory=dict)
    next_list_id: int = 1

    @property
    def list_size(self) -> int:
        """Messages that fill a list; without a time-out nothing is held back."""
        if self.config.max_timeout_ns <= 0:
            return 1
        return self.config.max_list_size or MAX_LIST_SIZE


class DigestHandler:
    """`DigestEntry` entities, and the buffering between data plane and primary client.

    Sans-IO: `learn` takes digests from the data plane, `poll` enforces the time-outs, lists go
    to `send`. `clock` gives nanoseconds that never run backwards, `wall_clock` those since 1970.
    """

    def __init__(
        self,
        infos: Mapping[int, DigestInfo],
        send: SendDigest,
        clock: Callable[[], int],
        wall_clock: Callable[[], int],
    ) -> None:
        self._infos = infos
        self._by_name = {info.name: info.digest_id for info in infos.values()}
        self._send = send
        self._clock = clock
        self._wall_clock = wall_clock
        self._learning: dict[int, _Learning] = {}

    def write(self, update_type: int, entity: p4r.DigestEntry) -> None:
        """INSERT enables a digest, MODIFY changes its configuration, DELETE disables it."""
        check_update_type(update_type)
        info = self._find(entity.digest_id)
        self._check_existence(info, update_type)
        if update_type == p4r.Update.DELETE:
            del self._learning[info.digest_id]
            return
        config = _checked_config(info, entity)
        if update_type == p4r.Update.INSERT:
            self._learning[info.digest_id] = _Learning(info, config)
        else:
            self._learning[info.digest_id].config = config
            self.poll()

    def read(self, query: p4r.DigestEntry, add: AddEntity) -> Iterator[None]:
        """The configuration of one enabled digest, or of all (id 0)."""
        if query.digest_id:
            self._find(query.digest_id)
        for digest_id in list(self._learning):
            if query.digest_id in (0, digest_id):
                self._fill(add().digest_entry, digest_id)
                yield

    def snapshot(self, entity: p4r.DigestEntry) -> p4r.Entity | None:
        """The configuration as it is now."""
        if entity.digest_id not in self._learning:
            return None
        found = p4r.Entity()
        self._fill(found.digest_entry, entity.digest_id)
        return found

    def object_id(self, entity: p4r.DigestEntry) -> int:
        """The digest's id."""
        return entity.digest_id

    def learn(self, name: str, values: Values) -> None:
        """A digest from the data plane; dropped if disabled, a duplicate, or not acknowledged."""
        learning = self._learning.get(self._by_name.get(name, 0))
        if learning is None:
            return
        self._expire(learning)
        if values in learning.buffer or values in learning.unacknowledged:
            return
        if not learning.buffer:
            learning.first_at = self._clock()
        learning.buffer[values] = None
        if len(learning.buffer) >= learning.list_size:
            self._flush(learning)

    def acknowledge(self, ack: p4r.DigestListAck) -> None:
        """The client acted on a list: its data may be learned again. Unknown lists are ignored."""
        learning = self._learning.get(self._find(ack.digest_id).digest_id)
        if learning is not None and ack.list_id in learning.sent:
            _forget(learning, ack.list_id)

    def poll(self) -> int | None:
        """Send lists whose time-out has come; returns the next deadline on `clock`, if any."""
        deadlines = []
        for learning in self._learning.values():
            self._expire(learning)
            if learning.buffer:
                deadline = learning.first_at + learning.config.max_timeout_ns
                if deadline <= self._clock():
                    self._flush(learning)
                else:
                    deadlines.append(deadline)
        return min(deadlines, default=None)

    def _flush(self, learning: _Learning) -> None:
        batch = tuple(learning.buffer)
        learning.buffer.clear()
        if learning.config.ack_timeout_ns > 0:
            room = MAX_UNACKNOWLEDGED - len(learning.unacknowledged)
            kept = batch[:room]
            learning.sent[learning.next_list_id] = (self._clock(), kept)
            learning.unacknowledged.update(dict.fromkeys(kept))
        self._send(self._digest_list(learning, batch))
        learning.next_list_id += 1

    def _digest_list(self, learning: _Learning, batch: tuple[Values, ...]) -> p4r.DigestList:
        message = p4r.DigestList(
            digest_id=learning.info.digest_id,
            list_id=learning.next_list_id,
            timestamp=self._wall_clock(),
        )
        for values in batch:
            _fill_data(message.data.add(), learning.info, values)
        return message

    def _expire(self, learning: _Learning) -> None:
        """Lists older than the acknowledgement time-out are forgotten, oldest first."""
        horizon = self._clock() - learning.config.ack_timeout_ns
        while learning.sent:
            list_id, (sent_at, _) = next(iter(learning.sent.items()))
            if sent_at > horizon:
                break
            _forget(learning, list_id)

    def _find(self, digest_id: int) -> DigestInfo:
        info = self._infos.get(digest_id)
        if info is None:
            known = ", ".join(f"{i.digest_id:#x} ({i.name})" for i in self._infos.values())
            invalid(f"digest id {digest_id:#x} is unknown; accepted: {known or 'none'}")
        return info

    def _check_existence(self, info: DigestInfo, update_type: int) -> None:
        enabled = info.digest_id in self._learning
        if update_type == p4r.Update.INSERT and enabled:
            raise P4RuntimeError(Code.ALREADY_EXISTS, f"{info}: already enabled; use MODIFY")
        if update_type != p4r.Update.INSERT and not enabled:
            raise P4RuntimeError(Code.NOT_FOUND, f"{info}: not enabled; use INSERT")

    def _fill(self, message: p4r.DigestEntry, digest_id: int) -> None:
        message.digest_id = digest_id
        message.config.CopyFrom(self._learning[digest_id].config)


def _checked_config(info: DigestInfo, entity: p4r.DigestEntry) -> p4r.DigestEntry.Config:
    config = p4r.DigestEntry.Config()
    config.CopyFrom(entity.config)
    if min(config.max_timeout_ns, config.max_list_size, config.ack_timeout_ns) < 0:
        invalid(f"{info}: a time-out or list size is negative; accepted: 0 or more")
    return config


def _forget(learning: _Learning, list_id: int) -> None:
    for values in learning.sent.pop(list_id)[1]:
        learning.unacknowledged.pop(values, None)


def _fill_data(data: p4d.P4Data, info: DigestInfo, values: Values) -> None:
    if not info.is_struct:
        data.bitstring = encode_uint(values[0])
        return
    for value in values:
        data.struct.members.add().bitstring = encode_uint(value)
