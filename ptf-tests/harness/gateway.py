"""The gateway under test: what goes in, what comes out, and the counters that must explain it.

Nothing here waits for an absence.  The pipeline counts an outcome for every packet, so after each
batch the counters say how many packets to expect on the ports and from the controller channel;
those are then awaited, and one too many or too few is an error.
"""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from finsy import P4TableEntry
from finsy.proto import p4r

from harness.counters import CounterReader, Snapshot
from harness.engine import Hook, TestEngine
from harness.ids import CRYPTO_PORT, Drop, Op, Outcome, Punt
from harness.p4runtime import Client, WriteRefusedError
from harness.policies import SpdMirror
from harness.recorder import Recorder
from harness.watch import Watch

WINDOW = 32  # bmv2 queues 64 packets a port and loses the rest without counting them
PATIENCE = 10.0  # seconds until a packet that the counters announced is given up


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame on a port."""

    port: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PacketOut:
    """A packet-out; the fields are those of ``packet_out_t``."""

    op: int
    payload: bytes = b""
    port: int = 0
    token: int = 0
    index: int = 0
    value: int = 0


@dataclass(frozen=True, slots=True)
class PacketIn:
    """A packet-in; the fields are those of ``packet_in_t``."""

    op: int
    status: int
    port: int
    token: int
    index: int
    value: int
    payload: bytes


Stimulus = Frame | PacketOut


@dataclass(slots=True)
class Verdict:
    """What became of a batch.  ``requests`` are the frames that went to the engine."""

    outputs: list[Frame] = field(default_factory=list)
    packet_ins: list[PacketIn] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    drops: Counter[Drop] = field(default_factory=Counter)
    punts: Counter[Punt] = field(default_factory=Counter)
    outcomes: Counter[Outcome] = field(default_factory=Counter)

    def add(self, change: Snapshot) -> None:
        """Adds what the counters gained."""
        self.drops.update({Drop(i): n for i, n in enumerate(change.drops) if n})
        self.punts.update({Punt(i): n for i, n in enumerate(change.punts) if n})
        self.outcomes.update({Outcome(i): n for i, n in enumerate(change.outcomes) if n})


class Gateway:
    """A switch that runs the gateway program, its engine, and the books over both."""

    def __init__(self, client: Client, dataplane: Any) -> None:
        self.client = client
        self.watch = Watch()
        self.engine = TestEngine(self.watch)
        self.hook: Hook = self.engine.answer
        self.recorder = Recorder()
        self._dataplane = dataplane
        self._counters = CounterReader(client)
        self._seen = self._counters.read()
        self._disturbed = False
        self._installed: dict[bytes, P4TableEntry] = {}
        self._spd = SpdMirror()

    # Packets

    def send(self, port: int, *frames: bytes) -> Verdict:
        """Sends frames into one port, in order, and follows them to their end."""
        return self.exchange([Frame(port, data) for data in frames])

    def exchange(self, stimuli: Sequence[Stimulus]) -> Verdict:
        """Sends a mixed batch, at most a window at a time, and follows it to its end."""
        self._disturbed = True  # until the books are closed
        verdict = Verdict()
        for start in range(0, len(stimuli), WINDOW):
            pending = list(stimuli[start : start + WINDOW])
            while pending:
                requests = self._round(pending, verdict)
                verdict.requests.extend(requests)
                replies = [reply for request in requests for reply in self.hook(request)]
                pending = [Frame(CRYPTO_PORT, reply) for reply in replies]
        self._disturbed = False
        return verdict

    @contextmanager
    def engine_hook(self, hook: Hook) -> Iterator[None]:
        """Another engine for a while."""
        previous, self.hook = self.hook, hook
        try:
            yield
        finally:
            self.hook = previous

    @contextmanager
    def held_requests(self) -> Iterator[list[bytes]]:
        """Requests pile up in the list instead of being answered."""
        held: list[bytes] = []

        def hold(frame: bytes) -> Iterable[bytes]:
            held.append(frame)
            return ()

        with self.engine_hook(hold):
            yield held

    def answer(self, *requests: bytes) -> Verdict:
        """Lets the engine answer requests that were held."""
        replies = [reply for request in requests for reply in self.engine.answer(request)]
        return self.send(CRYPTO_PORT, *replies)

    def _round(self, stimuli: list[Stimulus], verdict: Verdict) -> list[bytes]:
        """One batch through the pipeline once; the frames that went to the engine."""
        for stimulus in stimuli:
            self._inject(stimulus)
        change = self._settle(len(stimuli))
        verdict.add(change)
        frames = [self._next_frame() for _ in range(change.frames_out)]
        packet_ins = [self._next_packet_in() for _ in range(change.packet_ins)]
        self.recorder.batch(stimuli, frames, packet_ins)
        self.watch.batch(stimuli, frames, packet_ins)
        verdict.packet_ins.extend(packet_ins)
        verdict.outputs.extend(frame for frame in frames if frame.port != CRYPTO_PORT)
        return [frame.data for frame in frames if frame.port == CRYPTO_PORT]

    def _inject(self, stimulus: Stimulus) -> None:
        match stimulus:
            case Frame(port, data):
                self._dataplane.send(0, port, data)
            case PacketOut(op, payload, port, token, index, value):
                fields = {"port": port, "token": token, "index": index, "value": value}
                self.client.packet_out(payload, op=int(op), status=0, **fields)

    def _settle(self, count: int) -> Snapshot:
        """Waits until the outcomes account for ``count`` more packets; what changed."""
        goal = self._seen.received + count
        deadline = time.monotonic() + PATIENCE
        while (received := sum(self._counters.outcomes())) < goal:
            if time.monotonic() > deadline:
                raise AssertionError(f"{goal - received} of {count} packets had no outcome")
        now = self._counters.read()
        if now.received != goal:
            raise AssertionError(f"{now.received - goal} outcomes more than packets sent")
        change, self._seen = now - self._seen, now
        return change

    def _next_frame(self) -> Frame:
        result = self._dataplane.poll(device_number=0, timeout=PATIENCE)
        if result.packet is None:
            raise AssertionError("the outcomes announce a packet that did not come out")
        return Frame(result.port, bytes(result.packet))

    def _next_packet_in(self) -> PacketIn:
        try:
            message = self.client.packet_ins.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError("the counters announce a packet-in that did not come") from None
        return PacketIn(**message.metadata, payload=message.payload)

    def count(self) -> None:
        """Gives the counters, as they stand after the last batch, to the watch."""
        self.watch.counted(self._seen)

    def recover(self) -> None:
        """After a test that broke off: lets the books start from what the counters say now."""
        if self._disturbed:
            self._seen = self._counters.read()
            self.unexplained()
            self._disturbed = False

    def unexplained(self) -> list[str]:
        """Packets that nothing has announced; empty if all is well."""
        found = []
        while (result := self._dataplane.poll(device_number=0, timeout=0)).packet is not None:
            found.append(f"port {result.port}: {bytes(result.packet).hex()}")
        while not self.client.packet_ins.empty():
            found.append(f"packet-in: {self.client.packet_ins.get()}")
        return found

    # Control messages

    def control(self, op: int, index: int = 0, value: int = 0, token: int = 0) -> PacketIn:
        """One control message and its answer."""
        verdict = self.exchange([PacketOut(op, index=index, value=value, token=token)])
        (answer,) = verdict.packet_ins
        return answer

    def read(self, op: Op, index: int) -> int:
        """The value of a register cell."""
        return self.control(op, index).value

    def traffic(self, name: str, sa: int) -> tuple[int, int]:
        """Packets and octets of an SA in ``sa_in_traffic`` or ``sa_out_traffic``."""
        return self._counters.traffic(name, sa)

    # Entries

    def insert(self, *entries: P4TableEntry) -> None:
        """Writes entries in one batch; ``reset`` takes them away."""
        try:
            self._write(p4r.Update.INSERT, entries)
        except WriteRefusedError as error:
            self._note([e for e, code in zip(entries, error.codes, strict=True) if not code])
            raise
        self._note(entries)

    def modify(self, *entries: P4TableEntry) -> None:
        """Changes entries that are there."""
        self._write(p4r.Update.MODIFY, entries)
        self._mirror(entries)

    def delete(self, *entries: P4TableEntry) -> None:
        """Removes entries."""
        self._write(p4r.Update.DELETE, entries)
        keys = [self._key(entry) for entry in entries]
        for key in keys:
            self._installed.pop(key, None)
        if self._spd.absent(keys):
            self.tell_policy()

    def installed(self) -> set[bytes]:
        """Names what is installed, for ``reset``."""
        return set(self._installed)

    def reset(self, keep: set[bytes]) -> None:
        """Removes every entry but those named in ``keep``."""
        extra = [entry for key, entry in self._installed.items() if key not in keep]
        if extra:
            self.delete(*extra)

    def _note(self, entries: Sequence[P4TableEntry]) -> None:
        self._installed.update((self._key(entry), entry) for entry in entries)
        self._mirror(entries)

    def _mirror(self, entries: Sequence[P4TableEntry]) -> None:
        if self._spd.present({self._key(entry): entry for entry in entries}):
            self.tell_policy()

    def tell_policy(self) -> None:
        """Tells the watch which rules are in force now."""
        self.watch.policy(self._spd.outbound())

    def _write(self, kind: p4r.Update.Type.ValueType, entries: Sequence[P4TableEntry]) -> None:
        schema = self.client.schema
        updates = [p4r.Update(type=kind, entity=entry.encode(schema)) for entry in entries]
        self.client.write(updates)
        self.recorder.write(updates)
        self.watch.wrote(b"".join(update.SerializeToString() for update in updates))

    def _key(self, entry: P4TableEntry) -> bytes:
        message = entry.encode(self.client.schema).table_entry
        message.ClearField("action")
        return bytes(message.SerializeToString(deterministic=True))
