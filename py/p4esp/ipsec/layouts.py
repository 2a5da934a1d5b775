"""What the layout of an SA pair means: its format, its sequence spaces, its keys."""

from typing import Final

from p4esp.ipsec.algorithms import Suite
from p4esp.ipsec.formats import Format, Number, Spaces, When, format_named
from p4esp.ipsec.sa import ChildSaParams, Layout

PROTO_ESP: Final = 50
ROOT_SIZE: Final = 32
"""Octets of the root that the keys of sub-SAs are derived from."""
SENT_MOST: Final = 256
"""Sequence spaces in which we send at most: a flow is one of 256 buckets."""


def form_of(layout: Layout) -> Format:
    """The format of a layout."""
    return format_named(layout.format)


def has_roots(layout: Layout) -> bool:
    """Whether KEYMAT gives a root for each direction in place of key and salt."""
    return form_of(layout).spaces is Spaces.KEY_EACH


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


def fault_of_suite(form: Format, suite: Suite, *, esn: bool) -> str | None:
    """Why a format cannot go with a cipher; None: it can."""
    if not suite.encryption.aead or not suite.encrypts:
        return f"format {form.name} with {suite}; accepted: AES-GCM and ChaCha20-Poly1305"
    if esn and form.number is Number.DIET:
        return f"format {form.name} with ESN; accepted: noesn"
    if esn and sends_whole_numbers(form):
        return f"format {form.name} with ESN, whose numbers are sent whole; accepted: noesn"
    if suite.iv_size and needs_implicit_iv(form):
        return f"format {form.name} with {suite}; accepted: an implicit IV, as in aes256gcm16iiv"
    return None


def takes_udp(form: Format) -> bool:
    """Whether its packets may travel in UDP: what a NAT knows as ESP begins with an SPI, and what
    may begin with zeros would look like IKE.
    """
    return form.protocol == PROTO_ESP and form.number is not Number.DIET
