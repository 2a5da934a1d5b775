"""The lab, step by step: what is done, what is found, which claims held."""

import re
import shlex
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab.capture import recorder
from lab.compose_file import ComposeFile, load_compose
from lab.container import REPOSITORY, Container, LabError
from lab.facts import Facts
from lab.netlab import Lab
from lab.project import Project
from lab.report import Report
from lab.traffic import Datagrams, meet, ping, tcp, udp
from lab.tunnel import suite_of, tunnel_faults
from lab.wire import SNAP, read_wire

LEFT: Final = "left"
RIGHT: Final = "right"
BETWEEN: Final = "wan"
"""The network between the gateways."""
CLAIMS: Final = (
    *("services ready", "tunnel up", "ping left to right", "ping right to left"),
    *("TCP left to right", "TCP right to left", "UDP left to right", "UDP right to left"),
    *("commands of the README", "only ESP on the wire", "IKE on the wire", "clean teardown"),
)
TOLERATED: Final = 0.01
"""Part of UDP packets that may be lost: another process may get in the way."""
TRIES: Final = 3
UDP_SHARE: Final = 4
"""UDP, which does not adapt itself, offers so many times less than TCP got through."""
EXCHANGES: Final = {34: "IKE_SA_INIT", 35: "IKE_AUTH"}
_EXEC: Final = re.compile(r"^docker compose exec (\S+) (.+)$", re.MULTILINE)


def run_lab(target: str, directory: Path, report: Report) -> Facts:
    """Run everything once; logs and the capture are left in `directory`."""
    started = time.monotonic()
    facts = Facts(target, CLAIMS)
    compose = load_compose(REPOSITORY / "docker-compose.yml")
    with _reasons(facts, report):
        with Lab("lab") as lab:
            session = Session(Project(compose, lab, target, directory), compose, facts, report)
            session.run(directory)
        session.conclude()
    facts.seconds = round(time.monotonic() - started, 1)
    report.verdict(facts)
    return facts


@contextmanager
def _reasons(facts: Facts, report: Report) -> Iterator[None]:
    """Whatever goes wrong is the reason why the claims that were to come are not made."""
    try:
        yield
    except (LabError, AssertionError, OSError, subprocess.SubprocessError) as error:
        made = len(facts.claims)
        facts.give_up(str(error))
        for claim in facts.claims[made:]:
            report.claim(claim)


class Session:
    """One run over a project."""

    def __init__(
        self, project: Project, compose: ComposeFile, facts: Facts, report: Report
    ) -> None:
        self._project = project
        self._compose = compose
        self._facts = facts
        self._report = report
        self._stubborn: list[str] = []

    def run(self, directory: Path) -> None:
        """Everything that needs the containers, and the capture of it."""
        networks = self._project.networks
        port, capture = networks.port(f"{LEFT}-ports", BETWEEN), directory / "wire.pcap"
        with recorder(networks.host, port, capture, snap=SNAP):
            try:
                self._with_containers()
            finally:
                self._report.heading("Stopping everything")
                self._stubborn = self._project.down()
        self._judge_wire(capture)

    def _with_containers(self) -> None:
        self._start()
        self._tunnel()
        self._report.heading("Traffic between the hosts, through the tunnel")
        self._echo(LEFT, RIGHT)
        self._echo(RIGHT, LEFT)
        self._flows(LEFT, RIGHT, ())
        self._flows(RIGHT, LEFT, ("--reverse",))
        self._readme()

    def _claim(self, name: str, faults: Iterable[str], detail: str = "") -> None:
        self._report.claim(self._facts.claim(name, faults, detail))

    def _start(self) -> None:
        self._report.heading("Starting the services of docker-compose.yml in namespaces")
        self._project.up(lambda name, after: self._report.line(f"{name}: ready in {after:.1f} s"))
        count = len(self._project.containers)
        self._claim("services ready", [], f"{count} of {count}, by their own health checks")

    def _tunnel(self) -> None:
        self._report.heading("The gateways agree on keys (IKEv2)")
        volumes = self._project.volumes
        sockets = {name: volumes[f"{name}-gateway"] / "p4esp.sock" for name in (LEFT, RIGHT)}
        faults = tunnel_faults(sockets)
        self._claim("tunnel up", faults, f"same SPIs at both ends; {suite_of(LEFT, sockets[LEFT])}")

    def _host(self, site: str) -> Container:
        return self._project.containers[f"{site}-host"]

    def _address(self, site: str) -> str:
        (attachment,) = self._compose.services[f"{site}-host"].networks.values()
        return str(attachment.ipv4_address)

    def _echo(self, source: str, target: str) -> None:
        meet(self._host(source), self._address(target))
        echo = ping(self._host(source), self._address(target))
        what = f"{echo.received} of {echo.sent} answered, after {echo.mean_ms:.2f} ms in the mean"
        faults = [] if echo.received == echo.sent else [what]
        self._claim(f"ping {source} to {target}", faults, what)
        self._facts.measure(f"ping {source} to {target}, mean", echo.mean_ms, "ms")

    def _flows(self, source: str, target: str, options: tuple[str, ...]) -> None:
        """The server is at the right site: `--reverse` has it send."""
        way = f"{source} to {target}"
        rate = tcp(self._host(LEFT), self._address(RIGHT), *options)
        self._claim(f"TCP {way}", [] if rate > 0 else ["nothing arrived"], f"{rate:.1f} Mbit/s")
        self._facts.measure(f"TCP {way}", rate, "Mbit/s")
        flow = self._datagrams(way, rate / UDP_SHARE, options)
        self._claim(f"UDP {way}", [], str(flow))
        self._facts.measure(f"UDP {way}", flow.mbit_per_second, "Mbit/s")
        self._facts.measure(f"UDP {way}, packets", flow.packets_per_second, "packets/s")
        self._facts.measure(f"UDP {way}, jitter", flow.jitter_ms, "ms")

    def _datagrams(self, way: str, rate: float, options: tuple[str, ...]) -> Datagrams:
        ends = (self._host(LEFT), self._address(RIGHT))
        for _ in range(TRIES):
            flow = udp(*ends, rate, *options)
            if flow.sent and flow.lost <= TOLERATED * flow.sent:
                return flow
        raise LabError(f"UDP {way}, tried {TRIES} times: {flow}")

    def _readme(self) -> None:
        """What the README has a user run in the containers does what it says."""
        commands = _EXEC.findall((REPOSITORY / "README.md").read_text())
        faults = [] if commands else ["there are none"]
        for service, command in commands:
            done = self._project.containers[service].run(*shlex.split(command))
            if done.returncode:
                faults.append(f"{service}: {command}: {(done.stderr or done.stdout).strip()}")
        what = "; ".join(f"{service}: {command}" for service, command in commands)
        self._claim("commands of the README", faults, what)

    def _judge_wire(self, capture: Path) -> None:
        self._report.heading("What was between the gateways (tshark)")
        wire = read_wire(capture, self._gateways())
        self._claim("only ESP on the wire", wire.faults, f"frames: {wire}")
        missing = [name for kind, name in EXCHANGES.items() if kind not in wire.exchanges]
        seen = ", ".join(EXCHANGES.values())
        self._claim("IKE on the wire", [f"no {name}" for name in missing], seen)

    def _gateways(self) -> frozenset[str]:
        services = (self._compose.services[f"{name}-ports"] for name in (LEFT, RIGHT))
        return frozenset(str(item.networks[BETWEEN].ipv4_address) for item in services)

    def conclude(self) -> None:
        """When the namespaces are gone: is anything left?"""
        volumes = self._project.volumes.values()
        sockets = [path.name for volume in volumes for path in volume.glob("*.sock")]
        listed = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
        faults = [
            *(f"{name} had to be killed" for name in self._stubborn),
            *(f"{name} is left" for name in (*sockets, *listed.splitlines())),
        ]
        what = "each service ended when it was told to; no socket and no namespace is left"
        self._claim("clean teardown", faults, what)
