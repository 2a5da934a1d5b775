"""The daemon's UDP sockets: both ports, both address families."""

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import StrEnum
from ipaddress import ip_address
from typing import Final, NamedTuple

from p4esp.daemon import packet_info
from p4esp.ike.path import Datagram, Path, UdpAddress
from p4esp.ike.transport import Ports
from p4esp.ipsec.selectors import Address

BATCH: Final = 64
"""Packets that one socket hands over before others have their turn."""
MAX_DATAGRAM: Final = 65535
RECEIVE_BUFFER: Final = 1 << 20
"""Octets the kernel keeps for us, if it allows so many."""
_EVERYWHERE: Final = ("0.0.0.0", "::")
_NO_SUCH_FAMILY: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)

Received = Callable[[bytes, Path], None]


class UdpError(OSError):
    """A socket cannot be had; the text says which."""


class Lost(StrEnum):
    """Why a packet did not leave or was not looked at."""

    SEND_FAILED = "the system did not send it"
    NO_SOCKET = "no socket has its source address"
    NO_DESTINATION = "the system did not say where it was sent to"


class _Key(NamedTuple):
    address: Address | None
    """None: all of the family."""
    version: int
    port: int


class UdpSockets:
    """Receives for one callback and sends; use as a context manager in a running event loop."""

    def __init__(self, addresses: tuple[Address, ...], ports: Ports, received: Received) -> None:
        self._addresses = addresses
        self._ports = ports
        self._received = received
        self._sockets: dict[_Key, socket.socket] = {}
        self._loop = asyncio.get_running_loop()
        self.lost: Counter[Lost] = Counter()
        """Packets that came to nothing here."""

    def __enter__(self) -> "UdpSockets":
        """UdpError when a port cannot be had."""
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for udp in self._sockets.values():
            self._loop.remove_reader(udp)
            udp.close()
        self._sockets.clear()

    def _open(self) -> None:
        for key, host in self._wanted():
            udp = _bound(host, key)
            if udp is not None:
                self._sockets[key] = udp
                self._loop.add_reader(udp, self._readable, udp, key.port)

    def _wanted(self) -> Iterator[tuple[_Key, str]]:
        for port in (self._ports.ike, self._ports.nat):
            for address in self._addresses:
                yield _Key(address, address.version, port), str(address)
            for host in () if self._addresses else _EVERYWHERE:
                yield _Key(None, ip_address(host).version, port), host

    def _readable(self, udp: socket.socket, port: int) -> None:
        with suppress(BlockingIOError):
            for _ in range(BATCH):
                self._receive(udp, port)

    def _receive(self, udp: socket.socket, port: int) -> None:
        try:
            data, ancillary, _, sender = udp.recvmsg(MAX_DATAGRAM, packet_info.SPACE)
        except ConnectionError:
            return  # an ICMP error for what was sent earlier
        local = packet_info.destination(ancillary)
        if local is None:
            self.lost[Lost.NO_DESTINATION] += 1
            return
        remote = UdpAddress(ip_address(sender[0]), sender[1])
        self._received(data, Path(UdpAddress(local, port), remote))

    def send(self, datagram: Datagram) -> None:
        """UDP's promise: it arrives, or it does not."""
        local, remote = datagram.path.local, datagram.path.remote
        udp = self._socket_for(local)
        if udp is None:
            self.lost[Lost.NO_SOCKET] += 1
            return
        try:
            target = (str(remote.host), remote.port)
            udp.sendmsg([datagram.data], packet_info.source(local.host), 0, target)
        except OSError:
            self.lost[Lost.SEND_FAILED] += 1

    def _socket_for(self, local: UdpAddress) -> socket.socket | None:
        version = local.host.version
        own = self._sockets.get(_Key(local.host, version, local.port))
        return own or self._sockets.get(_Key(None, version, local.port))


def _bound(host: str, key: _Key) -> socket.socket | None:
    """A socket for a port; None when the system lacks the address family as a whole."""
    try:
        return _bind(host, key)
    except OSError as error:
        if key.address is None and key.version == 6 and error.errno in _NO_SUCH_FAMILY:
            return None
        text = f"UDP {UdpAddress(ip_address(host), key.port)}: {error.strerror}"
        raise UdpError(f"{text}; accepted: an address and a port that are free here") from None


def _bind(host: str, key: _Key) -> socket.socket:
    udp = socket.socket(socket.AF_INET6 if key.version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.setblocking(False)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        if key.version == 6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        packet_info.ask_for(udp)
        udp.bind((host, key.port))
    except BaseException:
        udp.close()
        raise
    return udp
