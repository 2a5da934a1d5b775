"""What the format of an SA's packets adds to its entries, and takes from its limits."""

from collections.abc import Mapping
from typing import Final

from p4esp.controller import numbers, tables
from p4esp.controller.entries import Entry
from p4esp.controller.numbers import Spread
from p4esp.controller.sa_modes import UnsupportedSaError
from p4esp.controller.tables import ReadAs, SendAs
from p4esp.engine import features
from p4esp.ipsec.formats import FORMATS, Format, FormatError, Number, Spaces
from p4esp.ipsec.layouts import fault_of_suite, form_of, has_roots, sent_subs, takes_udp
from p4esp.ipsec.sa import ChildSaParams, Layout, Wrap
from p4esp.store import SaRecord

PLAIN: Final = Layout().format
LAST_COUNT: Final = (1 << 48) - 1
_ENGINE: Final[Mapping[numbers.Format, frozenset[str]]] = {
    numbers.Format.SUBSPACES: frozenset((features.LONG_HEADER,)),
    numbers.Format.TRAILER_INSIDE: frozenset((features.TIH,)),
    numbers.Format.TRAILER_SHOWN: frozenset((features.TIH, features.SHOWN)),
    numbers.Format.NO_TRAILER: frozenset((features.NO_TRAILER,)),
    numbers.Format.HEADER_IN_TRAILER: frozenset((features.TIH, features.LONG_HEADER)),
    numbers.Format.CRYPT_OFFSET: frozenset((features.SHOWN,)),
}


def pipeline_format(layout: Layout) -> numbers.Format:
    """The pipeline's number of a format."""
    return form_of(layout).number


def needed_features(layout: Layout) -> frozenset[str]:
    """What an engine must have for such SAs beyond version 1 of the crypto port."""
    sub_keys = frozenset((features.SUB_KEYS,)) if has_roots(layout) else frozenset()
    return _ENGINE.get(pipeline_format(layout), frozenset()) | sub_keys


def check_format(child: ChildSaParams) -> None:
    """UnsupportedSaError for a format that does not go with the rest of an SA."""
    fault = None if child.layout.format == PLAIN else _fault(child)
    if fault is not None:
        raise UnsupportedSaError(fault)


def _fault(child: ChildSaParams) -> str | None:
    form = form_of(child.layout)
    try:
        form.check_mode(child.mode)
    except FormatError as error:
        return str(error)
    if form.number is Number.DIET:
        return f"format {form.name} is not negotiated; accepted: a format that IKE asks for"
    if child.wrap is not Wrap.NONE:
        return f"format {form.name} in WESP; accepted: no WESP"
    if child.encapsulation is not None and not takes_udp(form):
        return f"format {form.name} in UDP; accepted: directly over IP"
    return fault_of_suite(form, child.suite, esn=child.esn)


def format_out(record: SaRecord, spread: Spread) -> list[Entry]:
    """How the outbound SA sends; plain ESP needs no entry."""
    layout, place = record.child.layout, record.placement
    if layout.format == PLAIN:
        return []
    how = SendAs(place.spaces_out - 1, spread, int(has_roots(layout)), layout.shown_out)
    return [tables.format_out(place.sa_out, how)]


def format_in(record: SaRecord) -> list[Entry]:
    """How the inbound SA reads."""
    layout, place = record.child.layout, record.placement
    if layout.format == PLAIN:
        return []
    shift = max(place.cells_each.bit_length() - 1, 0)
    how = ReadAs(place.spaces_in - 1, shift, int(has_roots(layout)), layout.shown_in)
    return [tables.format_in(place.sa_in, how)]


def spaces_of(layout: Layout) -> tuple[int, int]:
    """Sequence spaces that an SA pair takes: inbound, outbound."""
    return layout.subs_in, sent_subs(layout)


def share_of_limit(limit: int, layout: Layout) -> int:
    """What one space may send of what an SA may: those under one key divide it, so that the key
    never seals more, whichever of them are in use.

    UnsupportedSaError where a space would have less than 2 packets, one before the other ends it.
    """
    if form_of(layout).spaces is not Spaces.SHARED_KEY:
        return limit
    subs = sent_subs(layout)
    if limit < 2 * subs:
        raise UnsupportedSaError(
            f"a limit of {limit} packets for {subs} subspaces; accepted: {2 * subs} or more"
        )
    return limit // subs


def count_of(layout: Layout, number: int) -> int:
    """The counter in a number that the pipeline tells: a subspace may stand in front of it."""
    subspaces = pipeline_format(layout) is numbers.Format.SUBSPACES
    return number & LAST_COUNT if subspaces else number


def name_of_format(number: int, how: Entry | None) -> str:
    """What an SA's entries say of its format; `how` is that of `format_out` or `format_in`."""
    key_each = how is not None and bool(how.arg("key_step"))
    shows = how is not None and bool(how.arg("shown"))
    forms = [form for form in FORMATS if form.number == number]
    fitting = [form.name for form in forms if _fits(form, key_each=key_each, shows=shows)]
    return fitting[0] if fitting else str(number)


def _fits(form: Format, *, key_each: bool, shows: bool) -> bool:
    return (form.spaces is Spaces.KEY_EACH) == key_each and (form.usual.shown > 0) == shows
