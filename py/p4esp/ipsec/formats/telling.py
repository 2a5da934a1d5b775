"""What packets of WESP, EESP and PSP say of their layout; FormatError for those we do not read."""

from __future__ import annotations

from dataclasses import replace

from p4esp.ipsec.formats.model import OPTION_OCTETS, FormatError, Option, Parameters

PAD = bytes((1, 2, 0, 0))
EESP_FIRST = 0x80
PSP_VERSIONS = (0, 1)
_ACCEPTED = "accepted: none, Crypt Offset, PadN of 4 octets, Crypt Offset and PadN"


def told_by_wesp(packet: bytes, agreed: Parameters) -> Parameters:
    """Whether a WESP header is padded."""
    _expect(packet, 4, "wesp")
    _, header, trailer, flags = packet[:4]
    if flags >> 5:
        raise FormatError(f"wesp: version and E flag {flags >> 5:03b}; accepted: 000")
    padded = bool(flags & 0x10)
    lengths, wanted = (header, trailer), (12 + 4 * padded + agreed.iv_len, agreed.icv_len)
    if lengths != wanted:
        raise FormatError(f"wesp: lengths {lengths}; accepted: {wanted}")
    return replace(agreed, options=(Option.PAD,) if padded else ())


def told_by_wesp_v2(packet: bytes, agreed: Parameters) -> Parameters:
    """Crypt offset and options of a WESPv2 header."""
    _expect(packet, 4, "wesp-v2")
    _, header, offset, flags = packet[:4]
    if flags >> 6 != 1:
        raise FormatError(f"wesp-v2: version {flags >> 6}; accepted: 1")
    octets = flags & 0x3F
    if octets not in (0, OPTION_OCTETS):
        raise FormatError(f"wesp-v2: {octets} octets of options; accepted: 0, {OPTION_OCTETS}")
    wanted = 12 + octets + agreed.iv_len
    if header != wanted:
        raise FormatError(f"wesp-v2: header length {header}; accepted: {wanted}")
    return replace(agreed, shown=offset & 0xFC, options=(Option.PAD,) if octets else ())


def told_by_eesp(packet: bytes, agreed: Parameters) -> Parameters:
    """Options of an EESP header, and what they say is shown."""
    _expect(packet, 8, "EESP")
    if packet[0] != EESP_FIRST:
        raise FormatError(
            f"EESP: first octet {packet[0]:#04x}; accepted: {EESP_FIRST:#04x}, "
            "which is version 0 without reserved bits"
        )
    length = packet[1]
    _expect(packet, 8 + length, "EESP")
    return _told_by_options(packet[8 : 8 + length], agreed)


def told_by_psp(packet: bytes, agreed: Parameters) -> Parameters:
    """Crypt offset and cookie of a PSP header."""
    _expect(packet, 16, "psp")
    _, length, offset, flags = packet[:4]
    version, cookie = flags >> 2 & 0x0F, bool(flags & 2)
    if not flags & 1 or offset >> 6:
        raise FormatError(
            f"psp: octets 2 and 3 are {packet[2:4].hex()}; accepted: first two bits 0, last bit 1"
        )
    if version not in PSP_VERSIONS:
        raise FormatError(f"psp: version {version}; accepted: 0, 1")
    if length != 1 + cookie:
        raise FormatError(f"psp: header ext length {length}; accepted: {1 + cookie}")
    return replace(agreed, shown=4 * offset, options=(Option.COOKIE,) if cookie else ())


def _told_by_options(options: bytes, agreed: Parameters) -> Parameters:
    first, second = options[:OPTION_OCTETS], options[OPTION_OCTETS:]
    if second[:2] not in (b"", PAD[:2]) or len(second) not in (0, OPTION_OCTETS):
        raise FormatError(f"EESP: options {options.hex()}; {_ACCEPTED}")
    padded = (Option.PAD,) if second else ()
    if not first:
        return replace(agreed, shown=0, options=())
    if first[:2] == PAD[:2] and len(first) == OPTION_OCTETS and not second:
        return replace(agreed, shown=0, options=(Option.PAD,))
    if first[:2] != b"\x02\x02" or len(first) < OPTION_OCTETS:
        raise FormatError(f"EESP: options {options.hex()}; {_ACCEPTED}")
    return replace(
        agreed,
        shown=_told_by_offset(first, len(options), agreed),
        options=(Option.OFFSET, *padded),
    )


def _told_by_offset(option: bytes, options: int, agreed: Parameters) -> int:
    """Octets in clear, payload info header included, of a Crypt Offset option."""
    said = int.from_bytes(option[2:])
    begins, wanted = 4 * (said >> 10), 8 + options + 8 * agreed.numbered + agreed.iv_len
    if begins != wanted:
        raise FormatError(f"EESP: payload offset {begins // 4}; accepted: {wanted // 4}")
    return 4 * (said >> 4 & 0x3F)


def _expect(packet: bytes, octets: int, what: str) -> None:
    if len(packet) < octets:
        raise FormatError(f"{what}: packet of {len(packet)} octets, {octets} are needed")
