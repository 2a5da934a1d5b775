"""What the layout of an SA pair means: its format, its sequence spaces, its keys."""

from typing import Final

from p4esp.ipsec.algorithms import Suite
from p4esp.ipsec.formats import Format, Spaces, When, format_named
from p4esp.ipsec.sa import Layout

PROTO_ESP: Final = 50
ROOT_SIZE: Final = 32
"""Octets of the root that the keys of sub-SAs are derived from."""
SENT_MOST: Final = 256
"""Sequence spaces in which we send at most: a flow is one of 256 buckets, and a peer that states
more must not use up the spaces of all others.
"""


def form_of(layout: Layout) -> Format:
    """The format of a layout."""
    return format_named(layout.format)


def has_roots(layout: Layout) -> bool:
    """Whether KEYMAT gives a root for each direction in place of key and salt."""
    return form_of(layout).spaces is Spaces.KEY_EACH


def sent_subs(layout: Layout) -> int:
    """In how many spaces we send: a power of two, which the pipeline chooses from by a mask."""
    return 1 << (min(layout.subs_out, SENT_MOST).bit_length() - 1)


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
    if esn and sends_whole_numbers(form):
        return f"format {form.name} with ESN, whose numbers are sent whole; accepted: noesn"
    if suite.iv_size and needs_implicit_iv(form):
        return f"format {form.name} with {suite}; accepted: an implicit IV, as in aes256gcm16iiv"
    return None


def takes_udp(form: Format) -> bool:
    """Whether its packets may travel in UDP: what a NAT knows as ESP begins with an SPI."""
    return form.protocol == PROTO_ESP
