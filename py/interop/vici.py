"""A client of strongSwan's vici protocol (its own README documents it): commands and events.

Sections are dictionaries, lists are lists, values are text. Octets that are no UTF-8 (keys,
certificates) are given as `bytes`.
"""

import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

CMD_REQUEST, CMD_RESPONSE, CMD_UNKNOWN, REGISTER, UNREGISTER, CONFIRM, _, EVENT = range(8)
SECTION_START, SECTION_END, KEY_VALUE, LIST_START, LIST_ITEM, LIST_END = range(1, 7)
TIMEOUT: Final = 60.0
"""Seconds after which an answer counts as missing."""

Value = str | bytes | Sequence["str | bytes"] | Mapping[str, "Value"]


class ViciError(RuntimeError):
    """The daemon refused a command."""


def _text(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _name(kind: int, name: str) -> bytes:
    return struct.pack("!BB", kind, len(name)) + name.encode()


def _item(kind: bytes, value: object) -> bytes:
    data = _text(value)
    return kind + struct.pack("!H", len(data)) + data


def encode(message: Mapping[str, Any]) -> bytes:
    """A message's octets."""
    parts = []
    for name, value in message.items():
        if isinstance(value, Mapping):
            parts += [_name(SECTION_START, name), encode(value), bytes([SECTION_END])]
        elif isinstance(value, list | tuple):
            items = [_item(bytes([LIST_ITEM]), item) for item in value]
            parts += [_name(LIST_START, name), *items, bytes([LIST_END])]
        else:
            parts.append(_item(_name(KEY_VALUE, name), value))
    return b"".join(parts)


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def _name(self) -> str:
        return self._take(self._take(1)[0]).decode()

    def _value(self) -> str:
        (size,) = struct.unpack("!H", self._take(2))
        return self._take(size).decode("utf-8", "replace")

    def section(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._at < len(self._data) and (kind := self._take(1)[0]) != SECTION_END:
            name = self._name()
            if kind == SECTION_START:
                found[name] = self.section()
            elif kind == LIST_START:
                found[name] = self._list()
            else:
                found[name] = self._value()
        return found

    def _list(self) -> list[str]:
        items = []
        while self._take(1)[0] != LIST_END:
            items.append(self._value())
        return items


def decode(data: bytes) -> dict[str, Any]:
    """A message from its octets."""
    return _Decoder(data).section()


class Vici:
    """One connection to a daemon."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TIMEOUT)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rb")

    def close(self) -> None:
        """End the connection."""
        self._stream.close()
        self._socket.close()

    def _send(self, kind: int, name: str, body: bytes = b"") -> None:
        packet = _name(kind, name) + body
        self._socket.sendall(struct.pack("!I", len(packet)) + packet)

    def _receive(self) -> tuple[int, str, dict[str, Any]]:
        (size,) = struct.unpack("!I", self._read(4))
        packet = self._read(size)
        kind, rest = packet[0], packet[1:]
        if kind != EVENT:
            return kind, "", decode(rest)
        end = 1 + rest[0]
        return kind, rest[1:end].decode(), decode(rest[end:])

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) != size:
            raise ViciError("the daemon ended")
        return data

    def request(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Have a command done; ViciError when it fails."""
        self._send(CMD_REQUEST, command, encode(arguments))
        kind, _, answer = self._receive()
        if kind != CMD_RESPONSE or answer.get("success", "yes") != "yes":
            raise ViciError(f"{command}: {answer.get('errmsg', 'unknown command')}")
        return answer

    def stream(self, command: str, event: str, **arguments: Any) -> list[dict[str, Any]]:
        """What a command tells in events of its own, such as `list-sas`."""
        self.listen(event)
        self._send(CMD_REQUEST, command, encode(arguments))
        found = []
        while (received := self._receive())[0] == EVENT:
            found.append(received[2])
        self._send(UNREGISTER, event)
        self._receive()
        return found

    def listen(self, *events: str) -> None:
        """Have events told from now on."""
        for event in events:
            self._send(REGISTER, event)
            kind, *_ = self._receive()
            if kind != CONFIRM:
                raise ViciError(f"there is no event {event}")

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Events as they come; on a connection that sends no commands. TimeoutError at the end."""
        while True:
            _, name, message = self._receive()
            yield name, message
