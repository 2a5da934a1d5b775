"""Traffic rates through our gateway and charon, and through two charons, on the same topology.

    python py/interop/run.py --run rates.py SECONDS

Prints JSON: {"ours": {...}, "charon": {...}}, each with `tcp` (Mbit/s) and `udp64`, `udp1372`
(packets a second that arrived, at the highest rate of which at most 1 % was lost).
"""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from charon_daemon import Charon, libipsec
from crossing import (
    ESP,
    HERE,
    IKE,
    OUR_END,
    OUR_NET,
    THEIR_END,
    THEIR_NET,
    THERE,
    TUNNEL_MTU,
    crossing,
    ping,
)
from lab.logged_process import LoggedProcess
from lab.netlab import Lab, Namespace, without_offloads
from pairing import OUR_ID, PSK, THEIR_ID

HEADERS: Final = 28
"""Octets of IPv4 and UDP: sizes are those of the inner IP packet."""
SIZES: Final = (64, TUNNEL_MTU - HEADERS)
START_RATE: Final = 1000
TRIES: Final = 3
"""At each rate: another process may get in the way of one."""
TOLERATED: Final = 1.0
"""Percent of packets that may be lost."""


def measure(here: Namespace, there: Namespace, directory: Path, seconds: int) -> dict[str, float]:
    """The figures of one topology, from the host `here` to the host `there`."""
    ping(here, THERE, "-c", "2")
    server = ("iperf3", "-s", "--forceflush")
    with LoggedProcess(there, server, directory / "iperf3.log") as listening:
        listening.wait_for("listening")
        tcp = _iperf(here, seconds)["sum_received"]["bits_per_second"] / 1e6
        udp = {f"udp{size}": _best_rate(here, size, seconds) for size in SIZES}
    return {"tcp": tcp, **udp}


def _iperf(here: Namespace, seconds: int, *options: str) -> dict[str, Any]:
    words = ("iperf3", "-c", THERE, "-J", "-t", str(seconds), *options)
    result: dict[str, Any] = json.loads(here.run(*words).stdout)["end"]
    return result


def _best_rate(here: Namespace, size: int, seconds: int) -> float:
    """Raise the rate until packets are lost; packets a second that arrived."""
    best, rate = 0.0, START_RATE
    while True:
        tries = (_arrived(here, size, rate, seconds) for _ in range(TRIES))
        arrived = next((count for count in tries if count is not None), 0.0)
        best = max(best, arrived)
        if arrived < 0.8 * rate:
            return best
        rate = int(rate * 1.4)


def _arrived(here: Namespace, size: int, rate: int, seconds: int) -> float | None:
    """Packets a second that arrived; None when more were lost than is tolerated."""
    payload = size - HEADERS
    offered = ("-u", "-l", str(payload), "-b", str(rate * payload * 8))
    done = _iperf(here, seconds, *offered).get("sum")
    if done is None or done["lost_percent"] > TOLERATED:  # None: its control packets starved
        return None
    arrived: float = (done["packets"] - done["lost_packets"]) / done["seconds"]
    return arrived


@contextmanager
def two_charons(lab: Lab, directory: Path) -> Iterator[tuple[Namespace, Namespace]]:
    """The topology of `crossing` with charon in the place of our gateway."""
    names = ("here2", "gate2", "them2", "there2")
    here, gate, them, there = (lab.host(name) for name in names)
    lab.cable((here, "eth", [f"{HERE}/16"]), (gate, "lan", ["10.1.0.1/16"]))
    lab.cable((gate, "wire", [f"{OUR_END}/24"]), (them, "wire", [f"{THEIR_END}/24"]))
    lab.cable((them, "lan", ["10.2.0.1/16"]), (there, "eth", [f"{THERE}/16"]))
    here.route("default", "10.1.0.1")
    there.route("default", "10.2.0.1")
    for host, interface in ((here, "eth"), (them, "wire"), (gate, "lan"), (gate, "wire")):
        without_offloads(host, interface)
    with ExitStack() as stack:
        ends = [(gate, OUR_END, OUR_ID, OUR_NET), (them, THEIR_END, THEIR_ID, THEIR_NET)]
        daemons = []
        for (namespace, *mine), (_, *theirs) in (ends, ends[::-1]):
            namespace.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
            charon = Charon(namespace, directory / namespace.name, libipsec())
            daemons.append(stack.enter_context(charon))
            secret = {"type": "IKE", "data": PSK, "owners": [OUR_ID, THEIR_ID]}
            charon.load(_connection(mine, theirs), [secret])
        daemons[0].initiate("net")
        yield here, there


def _connection(mine: list[str], theirs: list[str]) -> dict[str, Any]:
    child = {"local_ts": [mine[2]], "remote_ts": [theirs[2]], "esp_proposals": [ESP]}
    return {
        "us": {
            "version": "2",
            "local_addrs": [mine[0]],
            "remote_addrs": [theirs[0]],
            "proposals": [IKE],
            "local": {"auth": "psk", "id": mine[1]},
            "remote": {"auth": "psk", "id": theirs[1]},
            "children": {"net": child},
        }
    }


def main(seconds: int) -> None:
    """Both topologies, one after the other."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "ours").mkdir()
        with Lab("rates") as lab, crossing(lab, directory / "ours") as site:
            site.recorder.stop()
            ours = measure(site.here, site.there, directory, seconds)
        with Lab("rates") as lab, two_charons(lab, directory) as (here, there):
            charon = measure(here, there, directory, seconds)
    print(json.dumps({"ours": ours, "charon": charon}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
