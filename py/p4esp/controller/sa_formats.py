"""What the format of an SA's packets adds to its entries, and takes from its limits."""

from collections.abc import Mapping
from typing import Final

from p4esp.controller import numbers, tables
from p4esp.controller.entries import Entry
from p4esp.controller.numbers import Spread
from p4esp.controller.sa_modes import UnsupportedSaError
from p4esp.controller.tables import ReadAs, SendAs
from p4esp.engine import features
from p4esp.ipsec.diet import check_sa, rules_of
from p4esp.ipsec.formats import FORMATS, Format, FormatError, Spaces
from p4esp.ipsec.formats.model import OPTION_OCTETS
from p4esp.ipsec.layouts import (
    WESP,
    fault_of_suite,
    form_of,
    form_out,
    has_roots,
    is_diet,
    is_eesp,
    parameters_out,
    sent_subs,
    takes_udp,
)
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
    numbers.Format.WESP_V2: frozenset((features.SHOWN,)),
    numbers.Format.EESP_OPTIMIZED: frozenset((features.SHOWN, features.NO_TRAILER)),
    numbers.Format.EESP_FULL: frozenset((features.SHOWN, features.TIH)),
    numbers.Format.DIET: frozenset((features.NO_TRAILER,)),
}


def needed_features(layout: Layout) -> frozenset[str]:
    """What an engine must have for such SAs beyond version 1 of the crypto port."""
    sub_keys = frozenset((features.SUB_KEYS,)) if has_roots(layout) else frozenset()
    ways = (_ENGINE.get(form.number, frozenset()) for form in _both(layout))
    return sub_keys.union(*ways)


def _both(layout: Layout) -> tuple[Format, Format]:
    return form_of(layout), form_out(layout)


def check_format(child: ChildSaParams) -> None:
    """UnsupportedSaError for a format that does not go with the rest of an SA."""
    for form in _both(child.layout):
        fault = None if form.name == PLAIN else _fault(child, form)
        if fault is not None:
            raise UnsupportedSaError(fault)


def _fault(child: ChildSaParams, form: Format) -> str | None:
    try:
        form.check_mode(child.mode)
    except FormatError as error:
        return str(error)
    if child.wrap is not Wrap.NONE and form.name != WESP:
        return f"format {form.name} in WESP; accepted: no WESP"
    if child.encapsulation is not None and not takes_udp(form):
        return f"format {form.name} in UDP; accepted: directly over IP"
    return fault_of_suite(form, child.suite, esn=child.esn, numbered=child.layout.numbered)


def check_diet(record: SaRecord) -> None:
    """UnsupportedSaError for an SA that cannot be compressed."""
    child = record.child
    if not is_diet(form_of(child.layout)):
        return
    try:
        udp, window = child.encapsulation is not None, record.placement.window
        check_sa(
            rules_of(child)[0],
            mode=child.mode,
            udp=udp,
            esn=child.esn,
            window=window,
            iv_len=child.suite.iv_size,
        )
    except FormatError as error:
        raise UnsupportedSaError(str(error)) from None


def pipeline_wrap(child: ChildSaParams, form: Format) -> numbers.Wrap:
    """What packets are wrapped in; WESPv2 is a format and a wrapping at once."""
    second = form.number is numbers.Format.WESP_V2
    return numbers.Wrap.SECOND if second else numbers.Wrap[child.wrap.name]


def format_out(record: SaRecord, spread: Spread) -> list[Entry]:
    """How the outbound SA sends; plain ESP needs no entry."""
    layout, place = record.child.layout, record.placement
    if form_out(layout).number is numbers.Format.PLAIN:
        return []
    if is_diet(form_out(layout)):
        return [tables.diet_template("diet_out", place.sa_out, rules_of(record.child)[1])]
    how = SendAs(
        place.spaces_out - 1,
        spread,
        int(has_roots(layout)),
        layout.shown_out,
        no_seq=int(not layout.numbered),
        options_len=_options_len(record.child),
    )
    return [tables.format_out(place.sa_out, how)]


def _options_len(child: ChildSaParams) -> int:
    """Octets of the options of EESP; those of WESPv2 the pipeline knows by itself."""
    if not is_eesp(form_out(child.layout)):
        return 0
    return OPTION_OCTETS * len(parameters_out(child).options)


def format_in(record: SaRecord) -> list[Entry]:
    """How the inbound SA reads."""
    layout, place = record.child.layout, record.placement
    if form_of(layout).number is numbers.Format.PLAIN:
        return []
    if is_diet(form_of(layout)):
        return [tables.diet_template("diet_in", place.sa_in, rules_of(record.child)[0])]
    shift = max(place.cells_each.bit_length() - 1, 0)
    no_seq = int(not layout.numbered)
    how = ReadAs(place.spaces_in - 1, shift, int(has_roots(layout)), layout.shown_in, no_seq)
    return [tables.format_in(place.sa_in, how)]


def spaces_of(layout: Layout) -> tuple[int, int]:
    """Sequence spaces that an SA pair takes: inbound, outbound."""
    return layout.subs_in, sent_subs(layout)


def window_of(layout: Layout, window: int) -> int:
    """Packets of an SA's anti-replay window, of those that the operator wants."""
    return window if layout.numbered else 0


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
    subspaces = form_out(layout).number is numbers.Format.SUBSPACES
    return number & LAST_COUNT if subspaces else number


def name_of_format(number: int, how: Entry | None, wrap: int = numbers.Wrap.NONE) -> str:
    """What an SA's entries say of its format; `how` is that of `format_out` or `format_in`."""
    if wrap in (numbers.Wrap.ENCRYPTED, numbers.Wrap.VISIBLE):
        return WESP
    key_each = how is not None and bool(how.arg("key_step"))
    shows = how is not None and bool(how.arg("shown"))
    forms = [form for form in FORMATS if form.number == number]
    alone = len(forms) == 1  # what it shows, and its keys, are then matters of the SA
    fitting = [f.name for f in forms if alone or _fits(f, key_each=key_each, shows=shows)]
    return fitting[0] if fitting else str(number)


def _fits(form: Format, *, key_each: bool, shows: bool) -> bool:
    return (form.spaces is Spaces.KEY_EACH) == key_each and (form.usual.shown > 0) == shows
