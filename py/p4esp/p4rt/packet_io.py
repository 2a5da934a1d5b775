"""Packet-in and packet-out: controller headers of any widths (sections 6.4.6 and 15.1)."""

from finsy.proto import p4r

from p4esp.p4rt.bytestring import encode_uint, uint_decoder
from p4esp.p4rt.errors import invalid
from p4esp.p4rt.schema import HeaderField


class PacketOutCodec:
    """Puts the metadata of a `PacketOut` in front of its payload, as the parser expects it."""

    def __init__(self, fields: tuple[HeaderField, ...]) -> None:
        self._size = sum(field.width for field in fields) // 8
        self._fields = fields
        self._shifts = {}
        shift = self._size * 8
        for field in fields:
            shift -= field.width
            where = f"packet_out metadata '{field.name}' (id {field.metadata_id})"
            self._shifts[field.metadata_id] = (shift, uint_decoder(where, field.width))

    def frame(self, packet: p4r.PacketOut) -> bytes:
        """Header and payload; every field of the header exactly once, else INVALID_ARGUMENT."""
        header = 0
        for metadata in packet.metadata:
            slot = self._shifts.get(metadata.metadata_id)
            if slot is None:
                invalid(f"packet_out metadata id {metadata.metadata_id} is unknown; {self._list()}")
            header |= slot[1](metadata.value) << slot[0]
        given = {metadata.metadata_id for metadata in packet.metadata}
        if len(packet.metadata) != len(self._fields) or given != self._shifts.keys():
            ids = ", ".join(str(metadata.metadata_id) for metadata in packet.metadata)
            invalid(f"packet_out metadata ids {ids or 'none'} given; {self._list()}")
        return header.to_bytes(self._size) + packet.payload

    def _list(self) -> str:
        names = ", ".join(f"{field.metadata_id} ({field.name})" for field in self._fields)
        return f"accepted: each of {names}, once" if names else "accepted: no metadata"


class PacketInCodec:
    """Takes the controller header off a frame that left through the CPU port."""

    def __init__(self, fields: tuple[HeaderField, ...]) -> None:
        self._size = sum(field.width for field in fields) // 8
        self._slots = []
        shift = self._size * 8
        for field in fields:
            shift -= field.width
            self._slots.append((field.metadata_id, shift, (1 << field.width) - 1))

    def message(self, frame: bytes) -> p4r.PacketIn | None:
        """The packet-in; None for a frame too short to hold the header."""
        if len(frame) < self._size:
            return None
        header = int.from_bytes(frame[: self._size])
        packet = p4r.PacketIn(payload=frame[self._size :])
        for metadata_id, shift, mask in self._slots:
            packet.metadata.add(metadata_id=metadata_id, value=encode_uint(header >> shift & mask))
        return packet
