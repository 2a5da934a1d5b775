"""What changes in an SA's entries while it lives: path MTU and ESN trial.

Everything else in them follows from what was negotiated. The values here are learned, not stored: a
controller that restarts begins with the link's MTU and without a trial.
"""

from dataclasses import dataclass, replace
from typing import Final

from p4esp.controller.entries import Entry
from p4esp.controller.icmpv6 import LEAST_MTU
from p4esp.controller.numbers import Format, Mode, Wrap
from p4esp.controller.sa_entries import PairEntries
from p4esp.ipsec.diet import Template

LEARNED: Final = frozenset({"key", "inner_mtu", "tfc_len", "trial_from", "trial_skip", "spread"})
"""Arguments that say nothing about which SA it is: those learned, and how subs are chosen."""
MOST: Final = 0xFFFF - 1024
"""Octets of the longest packet that the pipeline seals, whatever the path."""
_BASE: Final = {4: 20, 6: 40}
_ESP: Final = 8
_UDP: Final = 8
_WHOLE_NUMBER: Final = 8
_MORE_IN_FRONT: Final = {
    Format.SUBSPACES: 4,
    Format.TRAILER_SHOWN: 4,
    Format.HEADER_IN_TRAILER: 8,
    Format.EESP_FULL: 4,
}
"""Octets of a format beyond SPI, 32 bits of number and IV, wherever they stand in the packet."""
_WITH_PAYLOAD: Final = {
    Format.TRAILER_INSIDE: 4,
    Format.TRAILER_SHOWN: 0,
    Format.NO_TRAILER: 0,
    Format.HEADER_IN_TRAILER: 0,
    Format.EESP_OPTIMIZED: 0,
    Format.EESP_FULL: 0,
}
"""Octets that are padded together with the payload; of the others pad length and next header."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """The learned values of one SA pair."""

    path_mtu: int
    """Octets of the largest outer packet."""
    inner_most: int = MOST
    """Octets of the largest inner packet that the links behind the peer take."""
    trial_from: int = 0
    trial_skip: int = 0
    """RFC 4303 A3: while the window's top has the high half `trial_from`, `trial_skip` is added to
    the inferred one; 0: no trial.
    """


def tuned(entries: PairEntries, tuning: Tuning, *, carries_v6: bool) -> PairEntries:
    """The entries of a pair with its learned values in them."""
    beside = (entry for entry in entries.tunnel if entry.table in ("format_out", "diet_out"))
    inner = inner_mtu(entries.outbound, tuning.path_mtu, next(beside, None))
    inner = min(inner, tuning.inner_most)
    if carries_v6:
        inner = max(inner, LEAST_MTU)  # inside the SA is a link as well (RFC 8200 5)
    tfc = min(entries.outbound.arg("tfc_len"), inner)
    outbound = _with_args(entries.outbound, inner_mtu=inner, tfc_len=tfc)
    trial = {"trial_from": tuning.trial_from, "trial_skip": tuning.trial_skip}
    first, *others = entries.inbound
    return replace(entries, inbound=(_with_args(first, **trial), *others), outbound=outbound)


def inner_mtu(outbound: Entry, path_mtu: int, how: Entry | None = None) -> int:
    """Octets of the largest inner IP packet whose sealed form is no longer than `path_mtu`; `how`
    is the entry of `format_out` or `diet_out`, if there is one.

    Tunnel: floor_A(path MTU - outer - udp - wesp - 8 - iv - icv) - 2, A the alignment (RFC 4303
    2.4); with other formats the 8 and the 2 are other numbers. Octets in clear are a multiple of A
    and change nothing. The other modes have one IP header less inside than the packet has in front;
    IPv4 options are not counted, which exceed the path by 12 octets at most under CBC or BEET.
    """
    front = _BASE[6] if outbound.arg("outer_v6") else _BASE[4]
    room = path_mtu - front - _overhead(outbound) - _of_eesp(outbound, how)
    if how is not None and _format(outbound) is Format.DIET:
        return min(max(_of_diet(outbound, how, room), 0), MOST)
    sealed = room - room % outbound.arg("align") - _WITH_PAYLOAD.get(_format(outbound), 2)
    return min(max(sealed + _kept_header(outbound), 0), MOST)


def _of_diet(outbound: Entry, how: Entry, room: int) -> int:
    """Of what there is room for behind a whole ESP header: its low octets take less, and a residue
    takes the place of the inner headers.
    """
    room += _ESP - how.arg("spi_octets") - how.arg("sn_octets")
    sealed = room - room % outbound.arg("align") - (2 if how.arg("trailer") else 0)
    return sealed - Template(how.arg("template")).added


def _overhead(outbound: Entry) -> int:
    udp = _UDP if outbound.arg("udp_encap") else 0
    wide = outbound.arg("udp_encap") or outbound.arg("outer_v6")
    wesp = 0 if outbound.arg("wrap") == Wrap.NONE else (8 if wide else 4)
    esp = _ESP + _MORE_IN_FRONT.get(_format(outbound), 0)
    return udp + wesp + esp + outbound.arg("iv_len") + outbound.arg("icv_len")


def _of_eesp(outbound: Entry, how: Entry | None) -> int:
    """Octets that EESP has for number and options: its base header is as long as that of ESP."""
    if how is None or _format(outbound) not in (Format.EESP_OPTIMIZED, Format.EESP_FULL):
        return 0
    return how.arg("options_len") + (0 if how.arg("no_seq") else _WHOLE_NUMBER)


def _format(outbound: Entry) -> Format:
    return Format(outbound.arg("format"))


def _kept_header(outbound: Entry) -> int:
    """Octets of the inner packet's own header that are not sealed."""
    mode = outbound.arg("mode")
    if mode == Mode.TUNNEL:
        return 0
    if mode == Mode.TRANSPORT:
        return _BASE[6] if outbound.arg("outer_v6") else _BASE[4]
    return _BASE[4] if mode == Mode.BEET_V4 else _BASE[6]


def _with_args(entry: Entry, **changed: int) -> Entry:
    return replace(entry, args=tuple(sorted((dict(entry.args) | changed).items())))


def without_learned(entry: Entry) -> Entry:
    """An entry as the negotiation alone decides it."""
    return replace(entry, args=tuple(arg for arg in entry.args if arg[0] not in LEARNED))
