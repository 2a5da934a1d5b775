"""Match keys: whatever finsy can write is decoded, and encoded back to the same message."""

import finsy as fy
from finsy.proto import p4r
from hypothesis import given
from hypothesis import strategies as st
from p4rt_harness import ENTITIES as P

from p4esp.p4rt.errors import P4RuntimeError
from p4esp.p4rt.match import MatchCodec, MatchField
from p4esp.switch.entries import Exact, Lpm, OptionalMatch, Range, Ternary

FIELDS = (
    MatchField(1, "hdr.ip.src", "ternary", 32, "ternary"),
    MatchField(2, "hdr.ip.protocol", "optional", 8, "ternary"),
    MatchField(3, "hdr.ip.total_length", "range", 16, "range"),
    MatchField(4, "std.ingress_port", "exact", 9, "exact"),
)
CODEC = MatchCodec("table 'acl'", FIELDS)


@given(
    st.none() | st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1)),
    st.none() | st.integers(0, 255),
    st.none() | st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1)).map(sorted),
    st.integers(0, 511),
)
def test_keys_that_finsy_writes_survive_both_ways(
    src: tuple[int, int] | None, protocol: int | None, length: list[int] | None, port: int
) -> None:
    if length == [0, 2**16 - 1]:
        length = None
    match = fy.Match(ingress_port=port)
    if src is not None:
        match["src"] = (src[0] & src[1], src[1])
    if protocol is not None:
        match["protocol"] = protocol
    if length is not None:
        match["total_length"] = tuple(length)
    entry = fy.P4TableEntry("acl", match=match, action=fy.Action("drop"), priority=1)
    message = P.entity(entry).table_entry
    key = CODEC.decode(message.match)
    assert key == (
        None if src is None else Ternary(src[0] & src[1], src[1]),
        None if protocol is None else Ternary(protocol, 0xFF),
        None if length is None else Range(*length),
        Exact(port),
    )
    back = p4r.TableEntry()
    CODEC.encode(back, key)
    assert list(back.match) == sorted(message.match, key=lambda field: field.field_id)


LPM = MatchCodec("table 'route'", (MatchField(1, "dst", "lpm", 32, "lpm"),))
OPTIONAL = MatchCodec("table 'o'", (MatchField(1, "o", "optional", 32, "optional"),))


@given(st.integers(0, 2**32 - 1), st.integers(1, 32))
def test_prefixes(value: int, length: int) -> None:
    value &= ~((1 << (32 - length)) - 1)
    message = p4r.TableEntry()
    LPM.encode(message, (Lpm(value, length),))
    assert LPM.decode(message.match) == (Lpm(value, length),)
    assert LPM.decode([]) == (None,)


def test_optional_key_kept_as_optional() -> None:
    message = p4r.TableEntry()
    OPTIONAL.encode(message, (OptionalMatch(7),))
    assert OPTIONAL.decode(message.match) == (OptionalMatch(7),)


MATCHES = (
    st.builds(
        p4r.FieldMatch,
        field_id=st.integers(0, 5),
        exact=st.none() | st.builds(p4r.FieldMatch.Exact, value=st.binary(max_size=6)),
    )
    | st.builds(
        p4r.FieldMatch,
        field_id=st.integers(0, 5),
        ternary=st.builds(
            p4r.FieldMatch.Ternary, value=st.binary(max_size=6), mask=st.binary(max_size=6)
        ),
    )
    | st.builds(
        p4r.FieldMatch,
        field_id=st.integers(0, 5),
        range=st.builds(
            p4r.FieldMatch.Range, low=st.binary(max_size=3), high=st.binary(max_size=3)
        ),
    )
)


@given(st.lists(MATCHES, max_size=6))
def test_decoded_keys_obey_the_rules_of_their_kinds(matches: list[p4r.FieldMatch]) -> None:
    """Section 9.1.1: no don't-care match in words, nothing set outside a mask."""
    try:
        src, protocol, length, port = CODEC.decode(matches)
    except P4RuntimeError:
        return
    assert isinstance(port, Exact)
    assert port.value < 512
    if isinstance(src, Ternary):
        assert src.mask
        assert src.value & src.mask == src.value < 1 << 32
    if isinstance(length, Range):
        assert length.low <= length.high < 1 << 16
        assert (length.low, length.high) != (0, 2**16 - 1)
    assert protocol is None or protocol == Ternary(getattr(protocol, "value", -1), 0xFF)
