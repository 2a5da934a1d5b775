"""Canonical binary strings (section 8.4): unsigned integers as shortest big-endian bytes."""

from collections.abc import Callable

from p4esp.p4rt.errors import Code, P4RuntimeError

UintDecoder = Callable[[bytes], int]


def encode_uint(value: int) -> bytes:
    """The shortest big-endian string that holds `value`; zero takes one byte."""
    return value.to_bytes((value.bit_length() + 7) // 8 or 1)


def uint_decoder(where: str, width: int) -> UintDecoder:
    """A function from a binary string to its value, for a field of `width` bits.

    Leading zero bytes are accepted; an empty string or a value wider than the field raises
    OUT_OF_RANGE with `where` in the text.
    """
    limit = 1 << width
    from_bytes = int.from_bytes

    def decode(data: bytes) -> int:
        value = from_bytes(data)
        if value >= limit or not data:
            raise _out_of_range(where, width, data)
        return value

    return decode


def _out_of_range(where: str, width: int, data: bytes) -> P4RuntimeError:
    if not data:
        problem = "the value is an empty byte string"
    else:
        problem = f"the value needs {int.from_bytes(data).bit_length()} bits"
    return P4RuntimeError(
        Code.OUT_OF_RANGE, f"{where}: {problem}; accepted: 1 or more bytes holding bit<{width}>"
    )
