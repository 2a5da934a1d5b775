"""Prometheus metrics of a controller, collected when they are asked for."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from p4esp.controller.drop_audit import AUDITED
from p4esp.controller.gateway import Gateway
from p4esp.service.journal import Entry


class ControllerCollector(Collector):
    """SAs, IKE SAs and connections of each gateway, and how often what happened.

    Register it with a `CollectorRegistry`, and `count` as the journal's listener.
    """

    def __init__(self) -> None:
        self._gateways: Mapping[str, Gateway] = {}
        self._happened: Counter[tuple[str, str]] = Counter()

    def watch(self, gateways: Mapping[str, Gateway]) -> None:
        """Report on these gateways from now on."""
        self._gateways = gateways

    def count(self, entry: Entry) -> None:
        """Count a journal entry."""
        self._happened[entry.gateway, entry.kind.value] += 1

    def collect(self) -> Iterable[Metric]:
        """The present values (prometheus_client's interface)."""
        yield self._gauge("p4esp_child_sas", "Installed SA pairs", lambda g: len(g.sas.live))
        yield self._gauge(
            "p4esp_ike_sas", "Established IKE SAs", lambda g: len(g.connections.established)
        )
        yield self._gauge(
            "p4esp_switch_connected", "1 while the switch is under control", lambda g: bool(g.link)
        )
        events = CounterMetricFamily(
            "p4esp_events", "What happened, by kind", labels=("gateway", "kind")
        )
        for labels, number in self._happened.items():
            events.add_metric(labels, number)
        yield events
        yield from self._dropped()

    def _dropped(self) -> Iterable[Metric]:
        drops = CounterMetricFamily(
            "p4esp_drops", "Dropped packets, by reason", labels=("gateway", "reason")
        )
        icmp = CounterMetricFamily(
            "p4esp_icmp_ignored", "ICMP too big that did not count", labels=("gateway", "reason")
        )
        for name, gateway in self._gateways.items():
            for reason in AUDITED.keys() | gateway.drop_audit.totals:
                drops.add_metric((name, reason.name), gateway.drop_audit.totals[reason])
            for why, number in gateway.icmp_ignored.items():
                icmp.add_metric((name, why), number)
        yield drops
        yield icmp

    def _gauge(self, name: str, text: str, value: Callable[[Gateway], float]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, text, labels=("gateway",))
        for gateway_name, gateway in self._gateways.items():
            family.add_metric((gateway_name,), value(gateway))
        return family
