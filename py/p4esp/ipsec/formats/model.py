"""What an ESP format is: a layout, its rules, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from p4esp.ipsec.sa import Mode

OUTER_OCTETS = {4: 20, 6: 40}
"""Octets of the outer header, by IP version: no options, no extension headers."""
FIRST_PRIVATE_STATUS = 40960
UDP_OCTETS = 8
OPTION_OCTETS = 4
"""Of each option that our packets have."""
COOKIE_OCTETS = 8


class FormatError(ValueError):
    """A format, a target or a packet that does not fit; the text says what would."""


class Proof(StrEnum):
    """What makes a change of a field in flight show."""

    AAD = "AAD"
    NONCE = "nonce"
    """Only through the nonce that is made of it (RFC 4106 5)."""
    TEXT = "ciphertext"
    TAG = "ICV"
    """It is the check value itself."""
    CHECK = "comparison"
    """Not the ICV: it must say what SA and trailer say."""


class When(StrEnum):
    """When a field is there."""

    ALWAYS = "always"
    EXPLICIT_IV = "with an explicit IV"
    SHOWN = "with a crypt offset above 0"
    HIDDEN = "with a crypt offset of 0"
    NUMBERED = "with sequence numbers"
    OFFSET = "with a Crypt Offset option"
    PADDED = "with a PadN option"
    TOKEN_SHOWN = "with a cookie and a crypt offset above 0"
    TOKEN_HIDDEN = "with a cookie and a crypt offset of 0"
    KEY_SHOWN = "with a cookie and a crypt offset above 1"
    KEY_HIDDEN = "with a cookie and a crypt offset of 0 or 1"


class Option(StrEnum):
    """What may stand between base header and the rest; each has 4 octets here, a cookie has 8."""

    OFFSET = "Crypt Offset"
    PAD = "PadN"
    COOKIE = "virtualization cookie"


class Trailer(StrEnum):
    """Where the length of the padding stands."""

    RFC4303 = "RFC 4303"
    """Behind the padding, encrypted, with the next header behind it."""
    TIH = "TIH"
    """In a trailer information header of 4 octets."""
    INNER = "inner"
    """Nowhere: the inner packet's own length says where the padding begins."""
    NONE = "none"
    """Nowhere: there is no padding."""


class TailUse(StrEnum):
    """Who must read the end of a packet before it can go on, but for ICV and zero padding."""

    NOBODY = "no"
    ENGINE = "engine"
    LOOKUP = "lookup"
    """The pipeline, before it even knows which SA a packet belongs to."""


class Target(StrEnum):
    """What runs the pipeline program."""

    EMBEDDED = "embedded"
    BMV2 = "bmv2"
    TOFINO = "tofino"
    """A switch chip of the Tofino class: what lies behind its parser's reach it cannot see."""


class Spaces(StrEnum):
    """Which sequence spaces an SA has."""

    ONE = "one"
    SHARED_KEY = "one for each subspace, one key"
    KEY_EACH = "one for each sub SA, with a key of its own"


class Number(IntEnum):
    """`format_t` of p4src/common/ids.p4."""

    PLAIN = 0
    SUBSPACES = 1
    TRAILER_INSIDE = 2
    TRAILER_SHOWN = 3
    NO_TRAILER = 4
    HEADER_IN_TRAILER = 5
    CRYPT_OFFSET = 6
    SPI_BLOCK = 7
    WESP_V2 = 8
    EESP_OPTIMIZED = 9
    EESP_FULL = 10
    PSP = 11
    DIET = 12


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a layout. `bits` None: as many as the packet makes it."""

    name: str
    bits: int | None
    meaning: str
    proof: Proof = Proof.AAD
    when: When = When.ALWAYS
    label: str = ""
    """For a drawing, where the name has no room."""

    @property
    def encrypted(self) -> bool:
        """Whether nobody without the key can read it."""
        return self.proof is Proof.TEXT


@dataclass(frozen=True, slots=True)
class Source:
    """Whose idea, and whose layout."""

    short: str
    """For a column of a table."""
    text: str
    ours: bool
    """Whether the octets on the wire are our own proposal."""

    @property
    def standing(self) -> str:
        """In two words, or in one."""
        if self.ours:
            return "our proposal"
        if self.text.startswith("draft-"):
            return "draft"
        return "standard" if self.text.startswith("RFC") else "specification"


@dataclass(frozen=True, slots=True)
class Notify:
    """An IKEv2 status notify that negotiates a format; ours are private numbers."""

    name: str
    number: int
    data: tuple[str, ...]
    """What its data holds, in order."""
    example: bytes
    example_means: str

    @property
    def words(self) -> str:
        """In a sentence or two."""
        data = "; ".join(self.data) or "no data"
        private = ", private" if self.number >= FIRST_PRIVATE_STATUS else ""
        example = f" Example: {self.example.hex()}, {self.example_means}." if self.example else ""
        return f"N({self.name}) {self.number}{private}: {data}.{example}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """An IKEv2 proposal for a protocol of its own, where no notify is enough."""

    protocol: int
    """Security protocol identifier, a private number."""
    transforms: tuple[str, ...]
    """What it must or may have, in order."""
    example: bytes
    """A security association payload with one proposal."""
    example_means: str

    @property
    def words(self) -> str:
        """In a sentence or two."""
        transforms = "; ".join(self.transforms)
        example = f"{self.example.hex()}, {self.example_means}"
        return f"Protocol {self.protocol}, private: {transforms}. Example: {example}."


@dataclass(frozen=True, slots=True)
class Parameters:
    """What an SA of a format fixes besides its keys; all in octets."""

    iv_len: int = 8
    icv_len: int = 16
    align: int = 4
    shown: int = 0
    """Octets behind the IV that stay in clear; of EESP, the payload info header is the first 4."""
    options: tuple[Option, ...] = ()
    numbered: bool = True
    """Whether packets have a sequence number."""
    spi: int = 0
    """The SPI, where packets have its low octets alone."""


def as_agreed(packet: bytes, agreed: Parameters) -> Parameters:
    """The packets of most formats say nothing of their layout."""
    return agreed


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write ESP. Layout: `clear`, then `text`, which is encrypted but for integrity-only
    formats, then `tail`.
    """

    name: str
    title: str
    number: Number
    source: Source
    clear: tuple[Field, ...]
    text: tuple[Field, ...]
    tail: tuple[Field, ...]
    usual: Parameters
    """Those of the examples: explicit IV or not, octets shown."""
    nonce: tuple[str, ...]
    """The fields an implicit IV is made of, filled with zeros in front to 8 octets."""
    trailer: Trailer
    spaces: Spaces
    tail_use: TailUse
    modes: tuple[Mode, ...]
    targets: tuple[Target, ...]
    notifies: tuple[Notify, ...]
    problem: str
    layout_rule: str
    aad_rule: str
    nonce_rule: str
    trailer_rule: str
    replay_rule: str
    costs: str
    buys: str
    limits: str
    protocol: int = 50
    """IP protocol number that it travels under."""
    shown_header: int = 0
    """Octets of what is shown that are no payload, a cookie apart."""
    salt_field: str = ""
    """The field that stands where others have a salt in the nonce."""
    udp_port: int = 0
    """UDP destination port, of a format that travels in UDP alone."""
    agreement: str = ""
    """How two ends agree on it, where IKE does not know it."""
    elided: int = 0
    """Octets of the inner headers that are not sent as such."""
    proposal: Proposal | None = None
    told: Callable[[bytes, Parameters], Parameters] = as_agreed
    """What a packet itself says of its layout, besides what is agreed."""

    def layout(self, parameters: Parameters | None = None) -> tuple[Field, ...]:
        """Every field that is there, in the order on the wire."""
        chosen = parameters or self.usual
        return (*self.front(chosen), *self.inside(chosen), *self.back(chosen))

    @property
    def notify(self) -> Notify | None:
        """The one that asks for it."""
        return self.notifies[0] if self.notifies else None

    @property
    def hides(self) -> bool:
        """Whether the text is encrypted, and not authenticated only."""
        return any(field.encrypted for field in self.text)

    def front(self, parameters: Parameters) -> tuple[Field, ...]:
        """The fields in front of the encrypted text."""
        return _present(self.clear, parameters)

    def inside(self, parameters: Parameters) -> tuple[Field, ...]:
        """The fields of the encrypted text."""
        return _present(self.text, parameters)

    def back(self, parameters: Parameters) -> tuple[Field, ...]:
        """The fields behind the encrypted text."""
        return _present(self.tail, parameters)

    def clear_payload(self, parameters: Parameters) -> int:
        """Octets of the payload that stay in clear."""
        cookie = COOKIE_OCTETS if Option.COOKIE in parameters.options else 0
        return max(parameters.shown - self.shown_header - cookie, 0)

    def over(self, outer: int, parameters: Parameters) -> Parameters:
        """The same behind a header of that IP version: over IPv6 the payload begins at a multiple
        of 8 octets, where the format has an option that sees to it.
        """
        pads = any(field.when is When.PADDED for field in self.clear)
        front = fixed_octets(_before_payload(self.layout(parameters)))
        if outer == 4 or not pads or front % 8 == 0:
            return parameters
        return replace(parameters, options=(*parameters.options, Option.PAD))

    def padding(self, payload: int, parameters: Parameters | None = None) -> int:
        """Octets of padding, the least that aligns."""
        chosen = parameters or self.usual
        if self.trailer is Trailer.NONE:
            return 0
        hidden = payload - self.elided - min(self.clear_payload(chosen), payload)
        return -(hidden + fixed_octets(self.inside(chosen))) % chosen.align

    def added(self, payload: int, parameters: Parameters | None = None) -> int:
        """Octets that the format adds to a payload, without any outer header; less than 0 where it
        sends less than the payload.
        """
        chosen = parameters or self.usual
        fixed = fixed_octets(self.layout(chosen)) - self.elided
        return fixed + self.padding(payload, chosen)

    def overhead(self, payload: int, outer: int = 4, parameters: Parameters | None = None) -> int:
        """Octets that a tunnel over IPv4 or IPv6 adds to an inner packet of `payload` octets."""
        chosen = self.over(outer, parameters or self.usual)
        udp = UDP_OCTETS if self.udp_port else 0
        return OUTER_OCTETS[outer] + udp + self.added(payload, chosen)

    def check_target(self, target: Target) -> None:
        """Raise FormatError, by name, where the format cannot run."""
        if target not in self.targets:
            accepted = ", ".join(self.targets)
            needs = "it makes checksums over the payload"
            if self.tail_use is TailUse.LOOKUP:
                needs = "it needs the tail of a packet for the SA lookup"
            raise FormatError(
                f"format {self.name} cannot run on target {target}: {needs}; accepted: {accepted}"
            )

    def check_mode(self, mode: Mode) -> None:
        """Raise FormatError, by name, where the format has no such mode."""
        if mode not in self.modes:
            accepted = ", ".join(self.modes)
            raise FormatError(f"format {self.name} has no {mode} mode; accepted: {accepted}")


def fixed_octets(fields: tuple[Field, ...]) -> int:
    """Octets of the fields that are as long in every packet of an SA."""
    return sum(field.bits for field in fields if field.bits is not None) // 8


def _before_payload(layout: tuple[Field, ...]) -> tuple[Field, ...]:
    """Up to the first field that is as long as the packet makes it."""
    sizes = [field.bits for field in layout]
    return layout[: sizes.index(None)]


def _present(fields: tuple[Field, ...], parameters: Parameters) -> tuple[Field, ...]:
    there = {
        When.ALWAYS: True,
        When.EXPLICIT_IV: parameters.iv_len > 0,
        When.SHOWN: parameters.shown > 0,
        When.HIDDEN: parameters.shown == 0,
        When.NUMBERED: parameters.numbered,
        When.OFFSET: Option.OFFSET in parameters.options,
        When.PADDED: Option.PAD in parameters.options,
        When.TOKEN_SHOWN: Option.COOKIE in parameters.options and parameters.shown > 0,
        When.TOKEN_HIDDEN: Option.COOKIE in parameters.options and parameters.shown == 0,
        When.KEY_SHOWN: Option.COOKIE in parameters.options and parameters.shown > 4,
        When.KEY_HIDDEN: Option.COOKIE in parameters.options and parameters.shown <= 4,
    }
    return tuple(_sized(field, parameters) for field in fields if there[field.when])


def _sized(field: Field, parameters: Parameters) -> Field:
    """IV and ICV are as long as the SA's cipher makes them."""
    if field.when is When.EXPLICIT_IV:
        return replace(field, bits=8 * parameters.iv_len)
    if field.proof is Proof.TAG:
        return replace(field, bits=8 * parameters.icv_len)
    return field
