"""A packet that pipeline and engine built, read by the layout of its format."""

from __future__ import annotations

from pathlib import Path

from p4esp.engine.psp import MasterPair
from p4esp.engine.subkeys import derived
from p4esp.engine.transforms import lookup
from p4esp.formats_lab.gateways import udp_packet
from p4esp.formats_lab.sas import LabSa
from p4esp.formats_lab.vectors import INNER, digest_sa, packet_of
from p4esp.ipsec.formats import Format
from p4esp.ipsec.formats.decoding import Found
from p4esp.ipsec.formats.opening import open_packet

PSP_KEY_LEN = 16


def built_and_read(program: Path, form: Format, octets: int) -> tuple[bytes, list[Found]]:
    """An ESP packet around an inner packet of that many octets, and all its fields."""
    sa = digest_sa(form.name)
    inner = INNER if octets == len(INNER) else udp_packet(sa, 0, octets)
    packet = packet_of(program, sa, inner)
    key, salt = key_of(sa)
    return packet, open_packet(form, packet, sa.parameters, key, salt)


def key_of(sa: LabSa, sub: int = 0) -> tuple[bytes, bytes]:
    """Key and salt of a sub SA, or of the SA where they have one; of PSP the key of the SPI."""
    if sa.has_masters:
        return MasterPair(PSP_KEY_LEN, sa.key).derive(sa.spi.to_bytes(4)), b""
    if not sa.key_each:
        return sa.key, sa.salt
    for number, (key, salt) in enumerate(derived(lookup(sa.transform), sa.key, sub + 1)):
        if number == sub:
            return bytes(key), bytes(salt)
    raise AssertionError("every sub SA has a key")
