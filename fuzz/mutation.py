"""Small damage to octets, as a fuzzer decides."""

from collections.abc import Callable

from fuzz.choices import Choices

Edit = Callable[[bytearray, int, Choices], None]


def mutate(data: bytes, choices: Choices) -> bytes:
    """One to four edits."""
    spoiled = bytearray(data)
    for _ in range(1 + choices.below(4)):
        edit = _EDITS[choices.below(len(_EDITS))]
        edit(spoiled, choices.below(len(spoiled) + 1), choices)
    return bytes(spoiled)


def _set(data: bytearray, at: int, choices: Choices) -> None:
    data[at : at + 1] = choices.octets(1)


def _flip(data: bytearray, at: int, choices: Choices) -> None:
    if at < len(data):
        data[at] ^= 1 << choices.below(8)


def _cut(data: bytearray, at: int, choices: Choices) -> None:
    del data[at : at + 1 + choices.below(32)]


def _insert(data: bytearray, at: int, choices: Choices) -> None:
    data[at:at] = choices.octets(1 + choices.below(8))


def _repeat(data: bytearray, at: int, choices: Choices) -> None:
    data[at:at] = data[at : at + 1 + choices.below(64)]


def _number(data: bytearray, at: int, choices: Choices) -> None:
    numbers = (0, 1, 4, 8, 0x7FFF, 0x8000, 0xFFFF, len(data))
    data[at : at + 2] = numbers[choices.below(len(numbers))].to_bytes(2, "big")


_EDITS: tuple[Edit, ...] = (_set, _flip, _cut, _insert, _repeat, _number)
