"""Network namespaces, and cables between them."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Any

Interface = IPv4Interface | IPv6Interface


def _run(*words: str) -> None:
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace with a name; it ends with the suite's mount namespace at the latest."""

    name: str

    @classmethod
    def create(cls, name: str) -> "Namespace":
        """A new one, with loopback."""
        _run("ip", "netns", "add", name)
        namespace = cls(name)
        namespace.ip("link", "set", "lo", "up")
        return namespace

    def remove(self) -> None:
        """Its interfaces end with it."""
        _run("ip", "netns", "del", self.name)

    def command(self, *words: str) -> list[str]:
        """A command line that runs inside."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *words]

    def ip(self, *words: str) -> None:
        """An `ip` command inside."""
        _run("ip", "-n", self.name, *words)

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end."""
        options = {"capture_output": True, "text": True} | options
        return subprocess.run(self.command(*words), check=True, **options)

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start a program inside."""
        options = {"text": True, "stdin": subprocess.DEVNULL} | options
        return subprocess.Popen(self.command(*words), **options)

    def address(self, interface: str, *addresses: str) -> None:
        """Give an interface addresses such as `10.99.0.1/24`, usable at once."""
        for text in addresses:
            extra = ["nodad"] if ip_interface(text).version == 6 else []
            self.ip("addr", "add", text, "dev", interface, *extra)

    def route(self, destination: str, via: str, *options: str) -> None:
        """Route a prefix by way of a neighbour."""
        self.ip("route", "add", destination, "via", via, *options)


@dataclass(slots=True)
class Lab:
    """The namespaces of one topology; a context manager that removes them."""

    prefix: str
    namespaces: list[Namespace] = field(default_factory=list)

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_: object) -> None:
        for namespace in self.namespaces:
            namespace.remove()

    def host(self, name: str) -> Namespace:
        """A new namespace."""
        namespace = Namespace.create(f"{self.prefix}-{name}")
        self.namespaces.append(namespace)
        return namespace

    def cable(
        self, one: tuple[Namespace, str, Sequence[str]], other: tuple[Namespace, str, Sequence[str]]
    ) -> None:
        """A cable between two namespaces: for each end its interface name and addresses."""
        (left, left_name, left_addresses), (right, right_name, right_addresses) = one, other
        peer = ("peer", "name", right_name, "netns", right.name)
        left.ip("link", "add", left_name, "type", "veth", *peer)
        for namespace, name, addresses in (
            (left, left_name, left_addresses),
            (right, right_name, right_addresses),
        ):
            namespace.address(name, *addresses)
            namespace.ip("link", "set", name, "up")


def without_offloads(host: Namespace, interface: str) -> None:
    """Frames as a wire has them: checksummed, and no longer than the MTU."""
    host.run("ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
