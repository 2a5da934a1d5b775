"""The SAs of the lab, and the entries of both gateways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from ipaddress import IPv4Address

from p4esp.controller.numbers import CPU_PORT, CRYPTO_PORT, CryptoPath, Role, Spread
from p4esp.formats_lab import diet
from p4esp.formats_lab.writing import Entry, Value
from p4esp.ipsec.diet import DietRule
from p4esp.ipsec.formats import Format, Number, Option, Parameters, Spaces
from p4esp.ipsec.formats.model import OPTION_OCTETS
from p4esp.ipsec.layouts import named_by
from p4esp.ipsec.sa import Mode

SITE_PORTS = (0, 1, 2, 3)
"""Each is another ingress port, from which a sender may choose the sub ID."""
WIRE_PORT = 8
SITE_MAC, GATEWAY_MAC, FAR_MAC = 0x0200_0000_0201, 0x0200_0000_0100, 0x0200_0000_0300
GATEWAY, FAR_GATEWAY = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
HOST = IPv4Address("10.1.0.1")
CELLS = 4
"""Replay cells of a space: the power of two that holds a window of 64 and one block to spare."""
WINDOW = 64
SUBS = 4
"""Sub SAs, or subspaces, of an SA that has them."""
NEVER = (1 << 37) - 1
GENERATION, POLICY, POLICY_VERSION, LOCAL_ID = 1, 7, 1, 1
NET_MASK, ALL_ONES = 0xFFFF_0000, 0xFFFF_FFFF
MODES = {Mode.TUNNEL: 0, Mode.TRANSPORT: 1}
ESP = 50
WRAPS = {"wesp": 2, "wesp-v2": 3}
"""`wesp_t`, of the formats that are wrapped in WESP; their SAs are found as those of ESP."""
SAD_PSP = 252
"""What PSP, which travels in UDP, is found by."""
PSP_VERSION = 0
"""AES-GCM with 128 bits."""


@dataclass(frozen=True, slots=True)
class LabSa:
    """An SA of one format, the same in both gateways. With a key for each sub SA, `key` is the
    root they are derived from, and there is no salt; with PSP it is the receiver's master keys.
    """

    form: Format
    number: int = 0
    _: KW_ONLY
    key: bytes = field(repr=False)
    salt: bytes = field(default=b"salt", repr=False)
    spi: int
    parameters: Parameters
    spread: Spread = Spread.PORT
    mode: Mode = Mode.TUNNEL
    """Transport: between the two hosts, whose gateways stand in for them."""
    iv_base: int = 0
    """What the explicit IV of EESP has more than the sequence number."""
    cookie: int = 0
    """PSP's virtualization cookie, where it has one."""

    @property
    def key_each(self) -> bool:
        """Whether each sub SA has a key of its own."""
        return self.form.spaces is Spaces.KEY_EACH

    @property
    def subs(self) -> int:
        """How many sequence spaces it has."""
        return 1 if self.form.spaces is Spaces.ONE else SUBS

    @property
    def has_masters(self) -> bool:
        """Whether the receiver derives the key from the SPI."""
        return self.form.number is Number.PSP

    @property
    def transform(self) -> str:
        """The engine's name of the cipher; of the sender's, where the receiver has master keys."""
        if not self.form.hides:
            return "AES-GMAC-128"
        return "AES-GCM-16-128" if self.parameters.iv_len else "AES-GCM-16-IIV-128"

    @property
    def remote(self) -> IPv4Address:
        """The host that it protects the traffic to."""
        return IPv4Address(f"10.2.{self.number}.2")

    @property
    def ends(self) -> tuple[IPv4Address, IPv4Address]:
        """Outer addresses."""
        if self.compresses:
            return GATEWAY, diet.GATEWAY
        return (GATEWAY, FAR_GATEWAY) if self.mode is Mode.TUNNEL else (HOST, self.remote)

    @property
    def compresses(self) -> bool:
        """Whether it leaves out what both ends know."""
        return self.form.number is Number.DIET

    @property
    def rule(self) -> DietRule:
        """What it leaves out, if it compresses."""
        return diet.rule_between(HOST, self.remote)

    @property
    def sad_protocol(self) -> int:
        """What it is found by, besides its SPI."""
        return SAD_PSP if self.has_masters else named_by(self.form)


def sealing_entries(sa: LabSa, key: int) -> Iterator[Entry]:
    """What the sealing gateway has for an SA."""
    match: dict[str, Value] = {"policy": POLICY, "dst": (int(sa.remote), 32)}
    yield Entry("sa_select", match, "use_sa", {"sa": sa.number})
    yield Entry("sa_out", {"sa": sa.number}, "seal_with", _seal_with(sa, key))
    if sa.compresses:
        diet.check(sa.rule, sa.spi, sa.mode, WINDOW, sa.parameters.iv_len)
        yield diet.sealing_entry(sa.rule, sa.number)
    elif sa.form.number is not Number.PLAIN:
        args = _subs(sa) | {
            "spread": sa.spread,
            "options_len": OPTION_OCTETS * len(sa.parameters.options),
            "iv_base": sa.iv_base,
        }
        yield Entry("format_out", {"sa": sa.number}, "send_as", args)
    if sa.form.number is Number.PSP:
        yield Entry("psp_out", {"sa": sa.number}, "send_psp", _psp(sa))


def opening_entries(sa: LabSa, key: int) -> Iterator[Entry]:
    """What the opening gateway has for an SA."""
    yield Entry("sa_in", {"sa": sa.number}, "open_with", _open_with(sa, key))
    if sa.compresses:
        known = (sa.number, GENERATION, sa.spi, sa.ends[0])
        yield from diet.opening_entries(sa.rule, *known)
        return
    blocks = range(sa.subs if sa.form.number is Number.SPI_BLOCK else 1)
    for sub in blocks:
        match = {"local_id": LOCAL_ID, "protocol": sa.sad_protocol, "spi": sa.spi + sub}
        args = {"sa": sa.number, "generation": GENERATION, "sub": sub}
        yield Entry("sad", match, "open_by", args)
    if sa.form.number is not Number.PLAIN:
        args = _subs(sa) | {"cell_shift": CELLS.bit_length() - 1}
        yield Entry("format_in", {"sa": sa.number}, "read_as", args)
    if sa.form.number is Number.PSP:
        yield Entry("psp_in", {"sa": sa.number}, "read_psp", {"spi": sa.spi, **_psp(sa)})


def sealing_base() -> Iterator[Entry]:
    """All of the sealing gateway but SAs."""
    yield from _both()
    protected = {"role": (Role.PROTECTED, 0xFF), "version": (POLICY_VERSION, 0xFF)}
    yield Entry("spd", protected, "protect", {"policy": POLICY}, priority=10)
    yield from towards(FAR_GATEWAY, 32, WIRE_PORT)


def opening_base() -> Iterator[Entry]:
    """All of the opening gateway but SAs."""
    yield from _both()
    local = {"local_id": LOCAL_ID, "proxied": 0}
    yield Entry("local_v4", {"dst": int(FAR_GATEWAY)}, "is_local", local)


def way_out(sa: LabSa) -> Iterator[Entry]:
    """The way of sealed packets, where that to the far gateway is not theirs."""
    if sa.ends[1] != FAR_GATEWAY:
        yield from towards(sa.ends[1], 32, WIRE_PORT)


def way_in(sa: LabSa) -> Iterator[Entry]:
    """The way to the host behind the opening gateway, which takes its ESP."""
    if sa.mode is Mode.TRANSPORT:
        local = {"local_id": LOCAL_ID, "proxied": 1}
        yield Entry("local_v4", {"dst": int(sa.remote)}, "is_local", local)
    yield from towards(sa.remote, 32, SITE_PORTS[0])


def _both() -> Iterator[Entry]:
    version = {"version": POLICY_VERSION}
    yield Entry("policy_version", {}, "set_policy_version", version, default=True)
    roles = dict.fromkeys(SITE_PORTS, Role.PROTECTED)
    roles |= {WIRE_PORT: Role.UNPROTECTED, CRYPTO_PORT: Role.CRYPTO, CPU_PORT: Role.CPU}
    for port, role in roles.items():
        own = {"role": role, "mac": GATEWAY_MAC}
        yield Entry("port_role", {"ingress_port": port, "vid": 0}, "set_role", own)
        if role in (Role.PROTECTED, Role.UNPROTECTED):
            yield Entry("egress_if", {"port": port, "vid": 0}, "leave_by", own)
    for path in CryptoPath:
        yield Entry("crypto_port", {"path": path}, "to_engine")


def towards(address: IPv4Address, length: int, port: int) -> Iterator[Entry]:
    """A route, and the neighbour at its end."""
    yield Entry("route_v4", {"dst": (int(address), length)}, "on_link")
    where = {"port": port, "vid": 0, "mac": GATEWAY_MAC if port == WIRE_PORT else FAR_MAC}
    yield Entry("neighbour", {"next_hop": int(address)}, "deliver", where)


def _subs(sa: LabSa) -> dict[str, int]:
    return {
        "last_sub": sa.subs - 1,
        "key_step": int(sa.key_each),
        "shown": sa.parameters.shown,
        "no_seq": int(not sa.parameters.numbered),
    }


def _psp(sa: LabSa) -> dict[str, int]:
    with_cookie = Option.COOKIE in sa.parameters.options
    return {"version": PSP_VERSION, "with_cookie": int(with_cookie), "cookie": sa.cookie}


def _common(sa: LabSa, key: int) -> dict[str, int]:
    return {
        "generation": GENERATION,
        "key": key,
        "space": sa.number * SUBS,
        "esn": 0,
        "iv_len": sa.parameters.iv_len,
        "icv_len": sa.parameters.icv_len,
        "align": sa.parameters.align,
        "mode": MODES[sa.mode],
        "wrap": WRAPS.get(sa.form.name, 0),
        "format": sa.form.number,
    }


def _seal_with(sa: LabSa, key: int) -> dict[str, int]:
    zeros = ("udp_encap", "udp_sport", "udp_dport", "dscp", "df_mode", "outer_v6", "tfc_len")
    return _common(sa, key) | {
        **dict.fromkeys(zeros, 0),
        "seq_soft": NEVER,
        "seq_hard": NEVER,
        "spi": sa.spi,
        "tunnel_src": int(sa.ends[0]),
        "tunnel_dst": int(sa.ends[1]),
        "tunnel_ttl": 64,
        "dscp_copy": 1,
        "inner_mtu": 0xFFFF,
    }


def _open_with(sa: LabSa, key: int) -> dict[str, int]:
    zeros = ("sel_multi", "sel_protocol", "sel_sport_low", "sel_dport_low", "trial_from")
    return _common(sa, key) | {
        **dict.fromkeys((*zeros, "trial_skip"), 0),
        "window": WINDOW if sa.parameters.numbered else 0,
        "cell_base": sa.number * SUBS * CELLS,
        "cell_mask": CELLS - 1,
        "sel_src": int(HOST) & NET_MASK,
        "sel_src_mask": NET_MASK,
        "sel_dst": int(sa.remote),
        "sel_dst_mask": ALL_ONES,
        "sel_sport_high": 0xFFFF,
        "sel_dport_high": 0xFFFF,
    }
