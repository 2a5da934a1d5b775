"""Types of single configuration values. Each refusal says what would be accepted."""

import re
from collections.abc import Callable
from functools import partial
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from p4esp.configuration.secret_files import read_psk
from p4esp.ike.auth.schemes import SCHEMES
from p4esp.ike.codec.encrypted_dns import is_name
from p4esp.ike.errors import ProposalError
from p4esp.ike.proposals import Template
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.identity_pattern import parse_peer_identity

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LABEL: Final = re.compile(r"[!-~]{1,255}")
_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


def _mac(value: Any) -> Any:
    if not isinstance(value, str) or not _MAC.fullmatch(value):
        raise ValueError("accepted: a MAC address such as 02:00:00:00:00:01")
    address = bytes.fromhex(value.replace(":", ""))
    if address[0] & 1:
        raise ValueError("a group address is no station's; accepted: an even first octet")
    return address


def _parsed(kind: Callable[[Any], Any], accepted: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        try:
            return kind(value if isinstance(value, str) else "")
        except ValueError as error:
            raise ValueError(f"{error}; accepted: {accepted}") from None

    return BeforeValidator(check)


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("accepted: 1 to 64 letters, digits, dots, dashes and underscores")
    return value


def _label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise ValueError("accepted: 1 to 255 visible characters of ASCII, no blanks")
    return value


def _server(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError("accepted: host:port with a port of 1..65535, such as 127.0.0.1:9559")
    return value


def _identity(value: str) -> str:
    try:
        Identity.parse(value)
    except ValueError:
        raise ValueError(
            "accepted: an address, a@b, @# and hex digits, C=CH, CN=x, or a name"
        ) from None
    return value


def _peer_identity(value: str) -> str:
    if value.startswith("*"):
        parse_peer_identity(value)
        return value
    return _identity(value)


def _proposal(parse: Callable[[str], Template]) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            parse(text)
        except ProposalError as error:
            raise ValueError(str(error)) from None
        return text

    return check


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    """A relative path starts at the directory of the configuration file."""
    return Path((info.context or {}).get("directory", "")) / path


def _ip_version(value: int) -> int:
    if value not in (4, 6):
        raise ValueError("accepted: 4 and 6")
    return value


def _signature(value: str) -> str:
    if value not in SCHEMES:
        raise ValueError(f"accepted: {', '.join(SCHEMES)}")
    return value


def _domain(value: str) -> str:
    if not is_name(value):
        raise ValueError("accepted: a domain name; what is not ASCII, as xn--...")
    return value.removesuffix(".").lower()


def _psk_file(path: Path) -> Path:
    read_psk(path)
    return path


Mac = Annotated[bytes, BeforeValidator(_mac)]
Port = Annotated[int, Field(ge=0, le=0x1FF)]
Vid = Annotated[int, Field(ge=0, le=4094)]
Server = Annotated[str, AfterValidator(_server)]
Address = Annotated[
    IPv4Address | IPv6Address, _parsed(ip_address, "an address such as 192.0.2.1 or 2001:db8::1")
]
Interface = Annotated[
    IPv4Interface | IPv6Interface,
    _parsed(ip_interface, "address/length such as 10.1.0.1/16 or 2001:db8:1::1/64"),
]
Network = Annotated[
    IPv4Network | IPv6Network, _parsed(ip_network, "a prefix such as 10.1.0.0/16 or 2001:db8::/64")
]
Id = Annotated[str, Field(min_length=1), AfterValidator(_identity)]
PeerId = Annotated[str, Field(min_length=1), AfterValidator(_peer_identity)]
IkeProposal = Annotated[str, AfterValidator(_proposal(partial(Template.ike, allow_weak=True)))]
EspProposal = Annotated[str, AfterValidator(_proposal(partial(Template.esp, allow_weak=True)))]
"""Whether a weak algorithm is allowed, the peer's section decides."""
IpVersion = Annotated[int, AfterValidator(_ip_version)]
SignatureName = Annotated[str, AfterValidator(_signature)]
DomainName = Annotated[str, AfterValidator(_domain)]
Label = Annotated[str, AfterValidator(_label)]
Name = Annotated[str, AfterValidator(_name)]
FilePath = Annotated[Path, AfterValidator(_beside_the_file)]
PskFile = Annotated[FilePath, AfterValidator(_psk_file)]
