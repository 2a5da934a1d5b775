"""What the layout of an SA pair means: its format, its sequence spaces, its keys."""

from typing import Final

from p4esp.ipsec.algorithms import Suite
from p4esp.ipsec.formats import (
    Format,
    Number,
    Option,
    Parameters,
    Spaces,
    Trailer,
    When,
    format_named,
    wesp,
)
from p4esp.ipsec.sa import ChildSaParams, Layout, Wrap

PROTO_ESP: Final = 50
PROTO_WESP: Final = 141
WESP: Final = wesp.FORMAT.name
ROOT_SIZE: Final = 32
"""Octets of the root that the keys of sub-SAs are derived from."""
SENT_MOST: Final = 256
"""Sequence spaces in which we send at most: a flow is one of 256 buckets."""


def form_of(layout: Layout) -> Format:
    """The format of what we receive."""
    return format_named(layout.format)


def form_out(layout: Layout) -> Format:
    """The format of what we send."""
    return format_named(layout.format_out or layout.format)


def is_standard(form: Format) -> bool:
    """Whether an RFC has it: then no vendor ID is needed to ask for it."""
    return form.source.standing == "standard"


def wrap_of(layout: Layout, suite: Suite) -> Wrap:
    """The WESP header of version 1 that a layout has: it shows where a payload is that nobody hides
    (RFC 5840 2).
    """
    if layout.format != WESP:
        return Wrap.NONE
    return Wrap.ENCRYPTED if suite.encrypts else Wrap.VISIBLE


def is_eesp(form: Format) -> bool:
    """Whether it is a security protocol of its own, which IKE proposes beside ESP."""
    return form.proposal is not None


def parameters_out(child: ChildSaParams) -> Parameters:
    """What an SA fixes of the packets that we send: over IPv6 EESP has an option that aligns."""
    form, layout, suite = form_out(child.layout), child.layout, child.suite
    offset = (Option.OFFSET,) if is_eesp(form) and layout.shown_out else ()
    sizes = suite.iv_size, suite.icv_size, suite.align
    sent = Parameters(*sizes, layout.shown_out, offset, layout.numbered)
    return form.over(child.local.version, sent)


def is_diet(form: Format) -> bool:
    """Whether it compresses what both ends know (Diet-ESP)."""
    return form.number is Number.DIET


def has_next_header(form: Format) -> bool:
    """Whether packets say what they carry: without it, they carry IP packets alone; and so they do
    where those are compressed.
    """
    return form.trailer is not Trailer.INNER and not is_diet(form)


def has_roots(layout: Layout) -> bool:
    """Whether KEYMAT gives a root for each direction in place of key and salt."""
    return form_of(layout).spaces is Spaces.KEY_EACH and not layout.one_key


def sent_subs(layout: Layout) -> int:
    """In how many spaces we send: a power of two, which the pipeline chooses from by a mask, and no
    more than we receive in ourselves.
    """
    return 1 << (min(layout.subs_out, layout.subs_in, SENT_MOST).bit_length() - 1)


def block(subs: int) -> int:
    """SPIs of the block that so many sub-SAs take: a power of two."""
    return 1 << (subs - 1).bit_length()


def is_block(layout: Layout) -> bool:
    """Whether the SPI says which sub-SA a packet is of."""
    return form_of(layout).number is Number.SPI_BLOCK


def spis_in(child: ChildSaParams) -> range:
    """The SPIs that we receive on."""
    subs = child.layout.subs_in if is_block(child.layout) else 1
    return range(child.spi_in, child.spi_in + subs)


def spis_out(child: ChildSaParams) -> range:
    """The SPIs that are the peer's for this SA: up to 65,536."""
    subs = child.layout.subs_out if is_block(child.layout) else 1
    return range(child.spi_out, child.spi_out + subs)


def spis_sent(child: ChildSaParams) -> range:
    """Those of them that we send with."""
    return spis_out(child)[: sent_subs(child.layout)]


def sends_whole_numbers(form: Format) -> bool:
    """Whether packets hold more than 32 bits of a sequence number: there is no ESN then."""
    fields = (*form.clear, *form.tail)
    return any(field.name == "Sequence Number" and (field.bits or 0) > 32 for field in fields)


def needs_implicit_iv(form: Format) -> bool:
    """Whether its packets have no place for an IV."""
    return all(field.when is not When.EXPLICIT_IV for field in form.clear)


def fault_of_suite(form: Format, suite: Suite, *, esn: bool, numbered: bool = True) -> str | None:
    """Why a format cannot go with a cipher; None: it can."""
    if form.number is Number.PLAIN:
        return None
    if not suite.encryption.aead or not suite.encrypts:
        return f"format {form.name} with {suite}; accepted: AES-GCM and ChaCha20-Poly1305"
    return _fault_of_numbers(form, esn=esn) or _fault_of_iv(form, suite, numbered=numbered)


def _fault_of_numbers(form: Format, *, esn: bool) -> str | None:
    """WESPv2 covers more than SPI and number: the half of an ESN that is not sent would have to
    stand in the middle of that.
    """
    if esn and sends_whole_numbers(form):
        return f"format {form.name} with ESN, whose numbers are sent whole; accepted: noesn"
    if esn and form.number in (Number.WESP_V2, Number.DIET):
        return f"format {form.name} with ESN, which it has no place for; accepted: noesn"
    return None


def _fault_of_iv(form: Format, suite: Suite, *, numbered: bool) -> str | None:
    if suite.iv_size and needs_implicit_iv(form):
        return f"format {form.name} with {suite}; accepted: an implicit IV, as in aes256gcm16iiv"
    if not suite.iv_size and not numbered:
        return (
            f"format {form.name} without sequence numbers with {suite}, whose IV is the number; "
            "accepted: an explicit IV, as in aes256gcm16"
        )
    return None


def takes_udp(form: Format) -> bool:
    """Whether its packets may travel in UDP: what a NAT knows as ESP begins with an SPI, or with
    the marker of WESP. What may begin with zeros would look like IKE.
    """
    return form.protocol in (PROTO_ESP, PROTO_WESP) and form.number is not Number.DIET


def named_by(form: Format) -> int:
    """The IP protocol that an SPI belongs to: WESP has none of its own, but wraps ESP."""
    return PROTO_ESP if form.protocol == PROTO_WESP else form.protocol
