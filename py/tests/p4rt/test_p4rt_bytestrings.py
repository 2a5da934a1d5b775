"""Canonical byte strings, section 8.4, with the specification's own examples."""

import pytest
from finsy import p4values
from hypothesis import given
from hypothesis import strategies as st

from p4esp.p4rt.bytestring import encode_uint, uint_decoder
from p4esp.p4rt.errors import Code, P4RuntimeError

VALID = [
    (8, 0x63, b"\x63"),
    (16, 0x63, b"\x00\x63"),
    (16, 0x63, b"\x63"),
    (16, 0x3064, b"\x30\x64"),
    (16, 0x3064, b"\x00\x30\x64"),
    (12, 0x63, b"\x00\x63"),
    (12, 0x63, b"\x00\x00\x63"),
]
INVALID = [
    (8, b"\x01\x63"),
    (8, b""),
    (16, b"\x01\x00\x63"),
    (12, b"\x10\x63"),
    (12, b"\x01\x00\x63"),
    (12, b"\x00\x40\x63"),
]


@pytest.mark.parametrize(("width", "value", "data"), VALID)
def test_examples_of_valid_strings_are_accepted(width: int, value: int, data: bytes) -> None:
    assert uint_decoder("field", width)(data) == value


@pytest.mark.parametrize(("width", "data"), INVALID)
def test_examples_of_invalid_strings_are_out_of_range(width: int, data: bytes) -> None:
    with pytest.raises(P4RuntimeError, match=f"field: .* accepted: .*bit<{width}>") as refused:
        uint_decoder("field", width)(data)
    assert refused.value.code is Code.OUT_OF_RANGE


@given(st.integers(1, 256), st.data())
def test_encoding_is_the_shortest_and_the_same_as_finsy_makes(
    width: int, data: st.DataObject
) -> None:
    value = data.draw(st.integers(0, (1 << width) - 1))
    encoded = encode_uint(value)
    assert encoded == p4values.encode_exact(value, width)
    assert uint_decoder("field", width)(bytes(3) + encoded) == value


@given(st.integers(1, 256), st.binary(max_size=40))
def test_a_string_is_accepted_exactly_when_its_value_fits(width: int, data: bytes) -> None:
    fits = bool(data) and int.from_bytes(data) < 1 << width
    try:
        assert uint_decoder("field", width)(data) == int.from_bytes(data)
    except P4RuntimeError:
        assert not fits
    else:
        assert fits
