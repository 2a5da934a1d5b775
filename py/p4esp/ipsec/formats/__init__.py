"""The ways to write ESP that an SA may choose from: one module each, and this list.

A layout that neither RFC nor draft fixes is our own proposal and says so in its `source`; where a
draft is open, the source says which choice is ours.
"""

from __future__ import annotations

from p4esp.ipsec.formats import (
    crypt_offset,
    crypt_offset_shown,
    diet_esp,
    eesp_full,
    eesp_optimized,
    esp,
    header_in_trailer,
    no_trailer,
    psp,
    spi_block,
    sub_child,
    subspaces,
    trailer_in_clear,
    trailer_in_header,
    wesp,
    wesp_v2,
)
from p4esp.ipsec.formats.model import (
    Field,
    Format,
    FormatError,
    Notify,
    Number,
    Option,
    Parameters,
    Proof,
    Proposal,
    Source,
    Spaces,
    TailUse,
    Target,
    Trailer,
    When,
)

FORMATS: tuple[Format, ...] = (
    esp.FORMAT,
    sub_child.FORMAT,
    spi_block.FORMAT,
    subspaces.FORMAT,
    trailer_in_header.FORMAT,
    trailer_in_clear.FORMAT,
    no_trailer.FORMAT,
    header_in_trailer.FORMAT,
    crypt_offset.FORMAT,
    crypt_offset_shown.FORMAT,
    wesp.FORMAT,
    wesp_v2.FORMAT,
    eesp_optimized.FORMAT,
    eesp_full.FORMAT,
    psp.FORMAT,
    diet_esp.FORMAT,
)
_BY_NAME = {form.name: form for form in FORMATS}


def format_named(name: str) -> Format:
    """Look a format up; FormatError lists those there are."""
    try:
        return _BY_NAME[name]
    except KeyError:
        accepted = ", ".join(_BY_NAME)
        raise FormatError(f"format {name!r} is not known; accepted: {accepted}") from None


__all__ = [
    "FORMATS",
    "Field",
    "Format",
    "FormatError",
    "Notify",
    "Number",
    "Option",
    "Parameters",
    "Proof",
    "Proposal",
    "Source",
    "Spaces",
    "TailUse",
    "Target",
    "Trailer",
    "When",
    "format_named",
]
