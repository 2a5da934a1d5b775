"""One P4Runtime connection: arbitration, pipeline, writes, reads, packets and digests.

A `Session` lives as long as its stream. Whoever opens it brings the switch up to date and goes on
until `lost` fires; there is no hidden reconnecting underneath, because after each loss somebody
has to find out what the switch still knows.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import finsy as fy
from finsy.proto import U128, p4r

from p4esp.controller.client_errors import client_errors
from p4esp.controller.entries import Entry, Update
from p4esp.controller.errors import ControllerError, NotPrimaryError, SwitchUnreachableError
from p4esp.controller.numbers import (
    OUT_DUMMY,
    OUT_ECHO,
    OUT_INJECT,
    OUT_ROUTE,
    OUT_SEND,
    PUNT_REASONS,
    Punt,
)
from p4esp.controller.program import Program
from p4esp.controller.state_channel import ControlMessage

QUEUE: Final = 4096
"""Packets and digests that may wait for us; more are dropped, as on a wire."""
DIGEST: Final = "sa_event_t"
CALL_SECONDS: Final = 60.0
"""A switch that has not answered a call by then is given up: nobody knows what it has done."""
MAX_DUMMIES: Final = 1000
"""Dummy packets that are sent at once."""
MAX_DUMMY: Final = 1400
"""Octets of each, sealed."""


@dataclass(frozen=True, slots=True)
class SwitchAddress:
    """How to reach a switch: a gRPC address, and the device there."""

    name: str
    address: str
    device_id: int = 1
    election_id: int = 10


@dataclass(frozen=True, slots=True)
class PacketIn:
    """A packet from the pipeline; `op` is a `Punt`, or a `Control` operation's answer."""

    op: int
    status: int
    """Drop reason of a punted packet, `ControlStatus` of an answer."""
    port: int
    token: int
    index: int
    value: int
    frame: bytes


class Session:
    """An open connection on which we are primary."""

    def __init__(self, switch: fy.Switch, pushed: bool) -> None:
        self._switch = switch
        self._sending = asyncio.Lock()  # a gRPC stream takes one message at a time
        self.pushed = pushed
        """Whether this session loaded the pipeline: all tables and registers are empty then."""
        self.lost: asyncio.Future[ControllerError] = asyncio.get_running_loop().create_future()
        """Done, with the reason, when the session is over."""

    async def write(self, updates: Sequence[Update]) -> dict[int, tuple[str, str]]:
        """Send one batch; (code name, message) by index of each update that was refused."""
        async with self._calling():
            return await self._write([update.encode() for update in updates])

    async def _write(self, entities: Sequence[Any]) -> dict[int, tuple[str, str]]:
        try:
            await self._switch.write(entities)
        except fy.P4ClientError as error:
            if not error.details:
                raise
            failed = error.details.items()
            return {i: (detail.canonical_code.name, detail.message) for i, detail in failed}
        return {}

    async def read(self, *tables: str) -> list[Entry]:
        """All entries of some tables; const entries are left out."""
        wanted = [fy.P4TableEntry(table) for table in tables]
        return [Entry.decode(item) for item in await self._read(wanted) if not item.is_const]

    async def read_default(self, table: str) -> Entry:
        """The default action of a table."""
        (entry,) = await self._read([fy.P4TableEntry(table, is_default_action=True)])
        return Entry.decode(entry)

    async def read_counter(self, name: str, indexes: Iterable[int]) -> dict[int, tuple[int, int]]:
        """(packets, octets) of some cells of an indexed counter."""
        cells = await self._read([fy.P4CounterEntry(name, index=index) for index in indexes])
        return {cell.index: (cell.packet_count, cell.byte_count) for cell in cells}

    async def _read(self, wanted: Sequence[Any]) -> list[Any]:
        async with self._calling():
            return [item async for item in self._switch.read(wanted)]  # type: ignore[attr-defined]

    async def subscribe_digests(self) -> None:
        """Ask for the events of SAs."""
        async with self._calling():
            refused = await self._write([+fy.P4DigestEntry(DIGEST, max_list_size=1)])
        for code, message in refused.values():
            if code != "ALREADY_EXISTS":
                raise ControllerError(f"{self._switch.name}: digest {DIGEST}: {code}: {message}")

    async def packets(self) -> AsyncIterator[PacketIn]:
        """Packets from the pipeline."""
        async for packet in self._switch.read_packets(queue_size=QUEUE):
            yield PacketIn(**packet.metadata, frame=packet.payload)

    async def digests(self) -> AsyncIterator[dict[str, int]]:
        """Events of SAs, acknowledged."""
        async for digest in self._switch.read_digests(DIGEST, queue_size=QUEUE):
            await self._send(digest.ack())
            for item in digest:
                yield item

    async def send_frame(self, port: int, frame: bytes) -> None:
        """Put a complete frame on a port."""
        await self._packet_out(frame, op=OUT_SEND, port=port)

    async def send_routed(self, frame: bytes) -> None:
        """Have the pipeline route a packet."""
        await self._packet_out(frame, op=OUT_ROUTE)

    async def inject(self, port: int, frame: bytes) -> None:
        """Have the pipeline treat a frame as if it had come in at a port."""
        await self._packet_out(frame, op=OUT_INJECT, port=port)

    async def send_dummy(self, sa: int, octets: int) -> None:
        """Have an outbound SA seal a packet that the peer discards (RFC 4303 2.6)."""
        ethernet = bytes(14)  # the pipeline replaces it
        await self._packet_out(ethernet + bytes(octets), op=OUT_DUMMY, index=sa)

    async def send_echo(self, sa: int, frame: bytes) -> None:
        """Have an outbound SA seal an ESP ping: what is in the frame."""
        await self._packet_out(frame, op=OUT_ECHO, index=sa)

    async def send_control(self, message: ControlMessage) -> None:
        """Send a control message; its answer comes as a packet."""
        fields = {"token": message.token, "index": message.index, "value": message.value}
        await self._packet_out(b"", op=message.op, **fields)

    async def _packet_out(self, frame: bytes, **fields: int) -> None:
        header = {"op": 0, "status": 0, "port": 0, "token": 0, "index": 0, "value": 0} | fields
        await self._send(fy.P4PacketOut(frame, **header))

    async def _send(self, message: Any) -> None:
        async with self._calling(), self._sending:
            await self._switch.write([message])

    async def limit_punts(self, rates: Mapping[Punt, tuple[int, int]]) -> None:
        """Set (packets a second, burst in packets) above which a class is dropped.

        The unprotected side has a set of meters of its own, so it can't use up the other's.
        """
        entries = [
            _meter("punt_rate", reason + first, rate, burst)
            for reason, (rate, burst) in rates.items()
            for first in (0, PUNT_REASONS)
        ]
        async with self._calling():
            await self._switch.write(entries)

    async def limit_echoes(self, rate: int) -> None:
        """Set the answers to ESP pings, a second and at once, beyond which none is given."""
        async with self._calling():
            await self._switch.write([_meter("echo_rate", 0, rate, rate)])

    @asynccontextmanager
    async def _calling(self) -> AsyncIterator[None]:
        """Every way in which a call can fail, as errors of ours."""
        if self.lost.done():
            raise SwitchUnreachableError(str(self.lost.result()))
        try:
            with client_errors(self._switch.name):
                async with asyncio.timeout(CALL_SECONDS):
                    yield
        except TimeoutError:
            silent = f"{self._switch.name}: no answer to a call in {CALL_SECONDS:g} s"
            self.end(SwitchUnreachableError(silent))
            raise SwitchUnreachableError(silent) from None

    def end(self, reason: ControllerError) -> None:
        """Declare the session over."""
        if not self.lost.done():
            self.lost.set_result(reason)


def _meter(name: str, index: int, rate: int, burst: int) -> fy.P4MeterEntry:
    config = fy.P4MeterConfig(cir=rate, cburst=burst, pir=rate, pburst=burst)
    return ~fy.P4MeterEntry(name, index=index, config=config)


async def api_version(address: SwitchAddress) -> str:
    """The version of P4Runtime that a switch speaks; SwitchUnreachableError when it does not."""
    async with fy.P4Client(address.address, wait_for_ready=False) as client:
        with client_errors(address.name):
            response = await client.request(p4r.CapabilitiesRequest())
    return str(response.p4runtime_api_version)


async def installed_pipeline(address: SwitchAddress) -> Any | None:
    """The p4info of the program a switch runs (a `P4Info`); None when it runs none."""
    request = p4r.GetForwardingPipelineConfigRequest(
        device_id=address.device_id,
        response_type=p4r.GetForwardingPipelineConfigRequest.P4INFO_AND_COOKIE,
    )
    async with fy.P4Client(address.address, wait_for_ready=False) as client:
        with client_errors(address.name):
            try:
                response = await client.request(request)
            except fy.P4ClientError as error:
                if error.is_pipeline_missing:
                    return None
                raise
    return response.config.p4info if response.config.HasField("p4info") else None


@asynccontextmanager
async def open_session(
    address: SwitchAddress, program: Program, *, push: bool = False
) -> AsyncIterator[Session]:
    """Connect as primary, and load the program where there is none (or `push` asks for it).

    Raises SwitchUnreachableError, ForeignPipelineError for a switch that runs something else, and
    NotPrimaryError where another controller has a higher election id.
    """
    found = await installed_pipeline(address)
    if found is not None:
        program.check(found)
    push = push or found is None
    switch = fy.Switch(address.name, address.address, _options(address, program))
    with client_errors(address.name):
        await switch.__aenter__()
    try:
        session = Session(switch, push)
        _watch(switch, session)
        _require_primary(switch)
        if push:
            await _push_pipeline(switch, program)
        try:
            yield session
        finally:
            session.end(SwitchUnreachableError(f"{address.name}: the session was closed"))
    finally:
        await switch.__aexit__(None, None, None)


async def _push_pipeline(switch: fy.Switch, program: Program) -> None:
    """Load the program. finsy can do so while it connects, but keeps a refusal to itself."""
    request = p4r.SetForwardingPipelineConfigRequest(
        device_id=switch.device_id,
        election_id=U128.encode(switch.election_id),
        action=p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT,
        config=fy.P4Schema(program.p4info, program.config).get_pipeline_config(),
    )
    with client_errors(switch.name):
        async with fy.P4Client(switch.address, wait_for_ready=False) as client:
            await client.request(request)


def _options(address: SwitchAddress, program: Program) -> fy.SwitchOptions:
    return fy.SwitchOptions(
        p4info=program.p4info,
        device_id=address.device_id,
        initial_election_id=address.election_id,
    )


def _watch(switch: fy.Switch, session: Session) -> None:
    def down(_: fy.Switch) -> None:
        session.end(SwitchUnreachableError(f"{switch.name}: the P4Runtime stream ended"))

    def backup(_: fy.Switch) -> None:
        session.end(NotPrimaryError(_not_primary(switch)))

    switch.ee.on(fy.SwitchEvent.CHANNEL_DOWN, down)
    switch.ee.on(fy.SwitchEvent.BECOME_BACKUP, backup)


def _require_primary(switch: fy.Switch) -> None:
    if not switch.is_primary:
        raise NotPrimaryError(_not_primary(switch))


def _not_primary(switch: fy.Switch) -> str:
    return (
        f"{switch.name}: another controller is primary with election id {switch.primary_id}; "
        f"ours is {switch.election_id}"
    )
