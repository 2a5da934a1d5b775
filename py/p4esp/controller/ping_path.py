"""Which way an ESP ping takes, and whether it may."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from p4esp.controller.config import GatewayConfig
from p4esp.controller.esp_ping import HEADER, MAX_DATA, Ends
from p4esp.controller.interfaces import Attachment, Interfaces
from p4esp.controller.numbers import PROTO_ESP
from p4esp.ike.errors import CommandError
from p4esp.ipsec.policy import Action, PolicyRule
from p4esp.ipsec.selectors import Address, TrafficSelector

_IP_HEADER: Final = {4: 20, 6: 40}


class PingPaths:
    """Between which addresses of a gateway pings go. Every refusal is a CommandError."""

    def __init__(
        self, config: GatewayConfig, interfaces: Interfaces, rules: Sequence[PolicyRule]
    ) -> None:
        self._peers = {peer.remote: peer.local for peer in config.peers}
        self._interfaces = interfaces
        self._rules = sorted(rules, key=lambda rule: -rule.priority)

    def towards(self, text: str, size: int) -> Ends:
        """The ends of a ping to an address with so many octets of data."""
        remote = _address(text)
        if self._interfaces.is_ours(remote):
            raise CommandError(f"{remote} is our own address; accepted: another gateway's")
        way = self._way(remote)
        _check_size(size, way, remote.version)
        ends = Ends(self._source(remote, way), remote)
        self._require_bypass(ends)
        return ends

    def _way(self, remote: Address) -> Attachment:
        """The interface that a ping leaves by: replies count on unprotected ones only."""
        hop = self._interfaces.next_hop(remote)
        way = None if hop is None else self._interfaces.towards(hop)
        if way is None:
            raise CommandError(f"no route leads to {remote}; accepted: an address with a route")
        if way.interface.role != "unprotected":
            accepted = "accepted: an address on the unprotected side"
            raise CommandError(
                f"{remote} is behind protected port {way.interface.port}; {accepted}"
            )
        return way

    def _source(self, remote: Address, way: Attachment) -> Address:
        """What we call ourselves towards a peer, unless that is a host behind us."""
        local = self._peers.get(remote)
        return local if local is not None and self._interfaces.is_ours(local) else way.address

    def _require_bypass(self, ends: Ends) -> None:
        """RFC 4301 4.4.1: a ping is clear traffic, and of ours only IKE is beyond policy."""
        local, remote = (TrafficSelector(end, end, PROTO_ESP) for end in (ends.local, ends.remote))
        rule = next((rule for rule in self._rules if rule.covers(local, remote)), None)
        if rule is None or rule.action is not Action.BYPASS:
            why = f"policy {rule.name} says {rule.action}" if rule else "no policy names it"
            raise CommandError(
                f"ESP ping from {ends.local} to {ends.remote}: dropped by policy, {why}; "
                f"accepted: a policy with action bypass, protocol {PROTO_ESP}, for these addresses"
            )


def _address(text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        raise CommandError(f"{text!r}; accepted: an IP address") from None


def _check_size(size: int, way: Attachment, version: int) -> None:
    """The gateway cuts none of its own packets."""
    most = min(MAX_DATA, way.interface.mtu - _IP_HEADER[version] - HEADER)
    if size > most:
        raise CommandError(f"size {size}; accepted: 0..{most}, what the link's MTU carries")
