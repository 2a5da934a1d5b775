"""The descriptor's 32 bytes: every field in its place, one typed error."""

import re
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4esp.engine.descriptor import (
    DESCRIPTOR_LEN,
    CryptoFrame,
    Descriptor,
    DescriptorError,
    Status,
)

# The layout as the contract writes it, apart from the code: name and width in bits, in order.
LAYOUT = (
    "op8 flags8 status8 nh8 key32 seq64 sa24 gen8 space24 pad8 "
    "aad_off8 aad_len8 iv_len8 ct_off8 plain_len16 icv8 align8"
)
WIDTHS = {name: int(width) for name, width in re.findall(r"([a-z_]+)(\d+)", LAYOUT)}

descriptors = st.builds(
    Descriptor,
    **{name: st.integers(0, (1 << width) - 1) for name, width in WIDTHS.items()},
)


def as_big_integer(descriptor: Descriptor) -> int:
    value = 0
    for name, width in WIDTHS.items():
        value = value << width | int(getattr(descriptor, name))
    return value


def test_layout_covers_every_field_and_32_bytes() -> None:
    assert set(WIDTHS) == {field.name for field in fields(Descriptor)}
    assert sum(WIDTHS.values()) == DESCRIPTOR_LEN * 8


@given(descriptors)
def test_encode_puts_fields_where_the_layout_says(descriptor: Descriptor) -> None:
    assert descriptor.encode() == as_big_integer(descriptor).to_bytes(32, "big")


@given(descriptors)
def test_decode_inverts_encode(descriptor: Descriptor) -> None:
    assert Descriptor.decode(descriptor.encode()) == descriptor


@given(st.binary(max_size=100))
def test_decode_raises_nothing_but_its_error(data: bytes) -> None:
    try:
        frame = CryptoFrame.decode(data)
    except DescriptorError:
        assert len(data) < 46 or data[12:14] != b"\x88\xb5"
    else:
        assert frame.encode() == data


@given(st.binary(min_size=32, max_size=32))
def test_any_32_bytes_decode_and_encode_back(data: bytes) -> None:
    assert Descriptor.decode(data).encode() == data


@pytest.mark.parametrize(("field", "width"), WIDTHS.items())
def test_value_wider_than_its_field_is_refused(field: str, width: int) -> None:
    values = {"op": 1, "key": 1, "seq": 1, "plain_len": 1, "ct_off": 1}
    for bad in (1 << width, -1):
        with pytest.raises(DescriptorError):
            Descriptor(**values | {field: bad}).encode()


@pytest.mark.parametrize("length", [0, 31])
def test_short_descriptor_is_refused(length: int) -> None:
    with pytest.raises(DescriptorError, match="32 bytes are needed"):
        Descriptor.decode(bytes(length))


def test_reply_changes_op_and_status_only() -> None:
    request = Descriptor(op=1, key=7, seq=9, plain_len=3, ct_off=36)
    reply = request.reply(Status.BAD_ICV)
    changed = {f.name for f in fields(reply) if getattr(reply, f.name) != getattr(request, f.name)}
    assert (changed, reply.op, reply.status) == ({"op", "status"}, 0x81, 1)
