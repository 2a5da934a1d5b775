"""What clients send on their stream besides arbitration; errors go back as `StreamError`."""

from finsy.proto import p4r
from google.protobuf.any_pb2 import Any

from p4esp.p4rt.entities import Entities
from p4esp.p4rt.errors import Code, P4RuntimeError
from p4esp.p4rt.pipeline import no_pipeline
from p4esp.p4rt.stream import ClientStream


def handle_packet_out(
    entities: Entities | None, stream: ClientStream, packet: p4r.PacketOut, is_primary: bool
) -> bytes | None:
    """The frame to inject at the CPU port; None if the packet was refused."""
    try:
        if not is_primary:
            raise P4RuntimeError(
                Code.PERMISSION_DENIED, "packet_out: only the primary client may send packets"
            )
        if entities is None:
            raise no_pipeline()
        return entities.packet_out.frame(packet)
    except P4RuntimeError as error:
        report = _error(error)
        report.packet_out.packet_out.metadata.extend(packet.metadata)
        stream.offer(p4r.StreamMessageResponse(error=report))
        return None


def handle_digest_ack(
    entities: Entities | None, stream: ClientStream, ack: p4r.DigestListAck
) -> None:
    """Data of the acknowledged list may be learned again."""
    try:
        if entities is None:
            raise no_pipeline()
        entities.digests.acknowledge(ack)
    except P4RuntimeError as error:
        report = _error(error)
        report.digest_list_ack.digest_list_ack.CopyFrom(ack)
        stream.offer(p4r.StreamMessageResponse(error=report))


def refuse_other(stream: ClientStream, other: Any) -> None:
    """No architecture-specific messages are defined here."""
    report = _error(
        P4RuntimeError(Code.UNIMPLEMENTED, f"stream messages of type {other.TypeName()}")
    )
    report.other.SetInParent()
    stream.offer(p4r.StreamMessageResponse(error=report))


def _error(error: P4RuntimeError) -> p4r.StreamError:
    return p4r.StreamError(canonical_code=error.code, message=error.message)
