"""The networks of a compose file, as docker would make them: a bridge each."""

from collections.abc import Mapping
from itertools import count

from lab.compose_file import Network, Service
from lab.netlab import Lab, Namespace


class ComposeNetworks:
    """All bridges are in one namespace, that of docker's host; each container has its own."""

    def __init__(self, lab: Lab, networks: Mapping[str, Network]) -> None:
        self._lab = lab
        self._networks = networks
        self.host = _without_ipv6(lab.host("docker"))
        self._numbers = count()
        self._ports: dict[tuple[str, str], str] = {}
        for name, network in networks.items():
            self._make_bridge(name, network)

    def _make_bridge(self, name: str, network: Network) -> None:
        # Without snooping, which has the host say something on the wire between the gateways.
        self.host.ip("link", "add", name, "type", "bridge", "mcast_snooping", "0")
        self.host.address(name, f"{network.plan.gateway}/{network.plan.subnet.prefixlen}")
        self.host.ip("link", "set", name, "up")

    def container(self, name: str, service: Service) -> Namespace:
        """The namespace of a container with networks of its own, and docker's default route."""
        namespace = _without_ipv6(self._lab.host(name))
        # Docker promises no order: what relies on one fails here.
        for number, network in enumerate(sorted(service.networks, reverse=True)):
            address = f"{service.networks[network].ipv4_address}"
            self._connect(name, namespace, network, f"eth{number}", address)
        namespace.route("default", str(self._networks[min(service.networks)].plan.gateway))
        return namespace

    def _connect(
        self, container: str, namespace: Namespace, network: str, interface: str, address: str
    ) -> None:
        port = self._ports[container, network] = f"port{next(self._numbers)}"
        peer = ("peer", "name", interface, "netns", namespace.name)
        self.host.ip("link", "add", port, "type", "veth", *peer)
        self.host.ip("link", "set", port, "master", network, "up")
        subnet = self._networks[network].plan.subnet
        namespace.address(interface, f"{address}/{subnet.prefixlen}")
        namespace.ip("link", "set", interface, "up")

    def port(self, container: str, network: str) -> str:
        """The bridge's end of a container's cable, an interface of `host`."""
        return self._ports[container, network]


def _without_ipv6(namespace: Namespace) -> Namespace:
    """As docker has it on networks without IPv6: no host's own announcements are on the wire."""
    for scope in ("all", "default"):
        namespace.run("sysctl", "-qw", f"net.ipv6.conf.{scope}.disable_ipv6=1")
    return namespace
