"""The format of a child SA's packets, as a file describes it. Each refusal says what would do."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, Protocol

from p4esp.ike.config import DEFAULT_ESP, FormatWish
from p4esp.ike.proposals import Template
from p4esp.ipsec import diet
from p4esp.ipsec.formats import Format, Number, Spaces, format_named
from p4esp.ipsec.layouts import (
    fault_of_suite,
    is_diet,
    is_eesp,
    is_standard,
    needs_implicit_iv,
    sends_whole_numbers,
    takes_udp,
)
from p4esp.ipsec.sa import Layout, Mode
from p4esp.ipsec.selectors import TrafficSelector

SUBS: Final = 16
SHOWN: Final = 28
"""IPv4 header and UDP header, or the ports and numbers of TCP."""
PORTS_SHOWN: Final = 4
"""Where no IP header is inside: transport mode and BEET."""
SHOWN_MOST: Final = 128
WINDOW_LEAST: Final = 64
"""Of EESP."""
_IMPLICIT: Final = Template.esp("aes256gcm16iiv-aes128gcm16iiv-chacha20poly1305iiv-noesn")
_EXPLICIT: Final = Template.esp("aes256gcm16-aes128gcm16-chacha20poly1305-noesn")
_IMPLICIT_ESN: Final = Template.esp("aes256gcm16iiv-aes128gcm16iiv-chacha20poly1305iiv-esn-noesn")

FormatName = Literal[
    "esp",
    "sub-child",
    "spi-block",
    "subspaces",
    "trailer-in-header",
    "trailer-in-clear",
    "no-trailer",
    "header-in-trailer",
    "crypt-offset",
    "crypt-offset-shown",
    "wesp",
    "wesp-v2",
    "eesp-optimized",
    "eesp-full",
    "diet-esp",
]
SPI_BITS: Final = 8
SN_BITS: Final = 16
"""Enough for the windows that there are."""


Selectors = tuple[TrafficSelector, ...]


class FormatKeys(Protocol):
    """The keys about formats of a child SA's section."""

    @property
    def format(self) -> FormatName:
        """How packets are laid out."""

    @property
    def subs(self) -> int | None:
        """Subspaces or sub-SAs in which we receive."""

    @property
    def shown(self) -> int | None:
        """Octets of each payload in clear at most."""

    @property
    def format_required(self) -> bool:
        """Whether there is no child SA without the format."""

    @property
    def numbered(self) -> bool:
        """Whether packets have sequence numbers."""

    @property
    def spi_bits(self) -> int | None:
        """Low bits of the SPI that are sent at least."""

    @property
    def sn_bits(self) -> int | None:
        """Those of the sequence number."""

    @property
    def esp_trailer(self) -> bool:
        """Whether the ESP trailer is sent where it need not be."""


def wish_of(keys: FormatKeys, mode: Mode) -> FormatWish:
    """The form the IKE core takes."""
    form = format_named(keys.format)
    subs = SUBS if keys.subs is None else keys.subs
    shown = _shown_unasked(form, mode) if keys.shown is None else keys.shown
    return FormatWish(
        keys.format,
        subs if _has_subs(form) else 1,
        shown + form.shown_header if shown and _shows(form) else 0,
        keys.format_required,
        keys.numbered,
        **_compressed(keys),
    )


def _compressed(keys: FormatKeys) -> dict[str, Any]:
    """What is left of header and trailer, of the format that leaves something out."""
    if not is_diet(format_named(keys.format)):
        return {}
    widths = {
        "spi_octets": (keys.spi_bits or SPI_BITS) // 8,
        "sn_octets": (keys.sn_bits or SN_BITS) // 8,
    }
    return {**widths, "trailer": keys.esp_trailer}


def _shown_unasked(form: Format, mode: Mode) -> int:
    """Octets of payload in clear where the file does not say. EESP is full for other reasons, too,
    than to show something.
    """
    if mode is Mode.TUNNEL:
        return SHOWN
    return 0 if is_eesp(form) else PORTS_SHOWN


def default_proposals(name: FormatName, *, numbered: bool = True) -> tuple[Template, ...]:
    """What is proposed where the file says nothing: whatever the format goes with. Numbers of ESP
    are those of the child where there is no EESP.
    """
    form = format_named(name)
    if needs_implicit_iv(form):
        return (_IMPLICIT,)
    if is_eesp(form):
        return (*((_IMPLICIT_ESN,) if numbered else ()), *DEFAULT_ESP)
    if form.number is Number.WESP_V2:
        return (_EXPLICIT,)
    return (_IMPLICIT, _EXPLICIT) if sends_whole_numbers(form) else DEFAULT_ESP


def check_format(keys: FormatKeys, mode: Mode, templates: Iterable[Template]) -> None:
    """ValueError for what the format does not go with."""
    _check_keys(keys)
    if keys.format == "esp":
        return
    form = format_named(keys.format)
    form.check_mode(mode)
    _check_shown(form, keys.shown, mode)
    for template in templates:
        _check_proposal(form, template, numbered=keys.numbered)


def _check_keys(keys: FormatKeys) -> None:
    """No key is given that means nothing."""
    form = format_named(keys.format)
    _require_use("subs", keys.subs is not None, _has_subs(form), form.name)
    _require_use("shown", keys.shown is not None, _shows(form), form.name)
    _require_use("format_required", keys.format_required, form.name != "esp", form.name)
    _require_use("numbered = false", not keys.numbered, is_eesp(form), form.name)
    given = {"spi_bits": keys.spi_bits, "sn_bits": keys.sn_bits, "esp_trailer": keys.esp_trailer}
    for key, value in given.items():
        _require_use(key, bool(value), is_diet(form), form.name)


def check_compression(keys: FormatKeys, local: Selectors, remote: Selectors) -> None:
    """FormatError, a ValueError, for selectors that no template of Diet-ESP fits."""
    form = format_named(keys.format)
    if is_diet(form):
        diet.agreed_rule(Layout(form.name), local, remote)


def check_siblings(children: Sequence[tuple[str, FormatKeys]]) -> None:
    """ValueError unless all children of a peer compress alike, or none: how a packet of the peer is
    to be read follows from its address.
    """
    shapes = {name: _compressed(keys) for name, keys in children}
    first, *others = list(shapes.items()) or [("", {})]
    for name, shape in others:
        if shape != first[1]:
            raise ValueError(
                f"children {first[0]} and {name} do not compress alike; accepted: diet-esp with "
                "the same spi_bits, sn_bits and esp_trailer in all children of a peer, or in none"
            )


def _check_shown(form: Format, shown: int | None, mode: Mode) -> None:
    """Nothing shown is a format of its own, but for those whose header says how much it is."""
    if shown != 0 or form.number is Number.WESP_V2:
        return
    if not is_eesp(form):
        raise ValueError(f"shown = 0 with format {form.name}; accepted: 4 or more")
    if mode is Mode.TUNNEL:
        raise ValueError(
            f"shown = 0 with format {form.name} in tunnel mode; accepted: 4 or more, or format "
            "eesp-optimized"
        )


def _has_subs(form: Format) -> bool:
    return form.spaces is not Spaces.ONE


def _shows(form: Format) -> bool:
    return form.usual.shown > 0


def _require_use(key: str, given: bool, used: bool, name: str) -> None:
    if given and not used:
        raise ValueError(f"{key} means nothing with format {name}; accepted: without it")


def _check_proposal(form: Format, template: Template, *, numbered: bool) -> None:
    """ESN is ESP's alone, which EESP may fall back to."""
    esn = template.extended and not is_eesp(form)
    for suite in template.suites():
        fault = fault_of_suite(form, suite, esn=esn, numbered=numbered)
        if fault is not None:
            raise ValueError(f"proposals: {fault}")


def check_path(child: str, name: FormatName, *, force_encapsulation: bool, mobike: bool) -> None:
    """ValueError where a format that cannot travel in UDP may have to."""
    keys = {"force_encapsulation": force_encapsulation, "mobike": mobike}
    given = [key for key, value in keys.items() if value]
    if given and not takes_udp(format_named(name)):
        raise ValueError(
            f"child {child}: format {name} has no UDP encapsulation, which {given[0]} may "
            f"bring; accepted: {given[0]} = false, or another format"
        )


def check_window(child: str, keys: FormatKeys, window: int) -> None:
    """ValueError for EESP without the anti-replay that its numbers are for: only the peer's consent
    to send none switches it off (draft-ietf-ipsecme-eesp-04 2.9). Or for a window in which too few
    bits of a number leave it open.
    """
    if is_diet(format_named(keys.format)):
        diet.check_window((keys.sn_bits or SN_BITS) // 8, window)
    if is_eesp(format_named(keys.format)) and keys.numbered and window < WINDOW_LEAST:
        raise ValueError(
            f"child {child}: format {keys.format} with sa.window {window}; "
            f"accepted: {WINDOW_LEAST} packets or more, or numbered = false"
        )


def check_experimental(children: Iterable[tuple[str, FormatKeys]], *, allowed: bool) -> None:
    """ValueError for a format that no RFC has without the switch; children go by `peer/child`."""
    for name, child in children:
        if not is_standard(format_named(child.format)) and not allowed:
            raise ValueError(
                f"child {name}: format {child.format} is experimental; "
                'accepted: experimental = true beside the peers, or format = "esp"'
            )
