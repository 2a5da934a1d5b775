"""Traffic with strongSwan while all our extensions are switched on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crossing import HERE, THERE, Crossing, crossing, ping
from everything import EVERYTHING
from lab.netlab import Lab


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Iterator[Crossing]:
    with crossing(lab, tmp_path, peer={"extensions": EVERYTHING}, experimental=True) as site:
        ping(site.here, THERE, "-c", "1")
        yield site


def test_traffic_crosses_and_goes_on_over_rekeys(site: Crossing) -> None:
    for rekey in (None, "child", "ike"):
        if rekey == "child":
            site.gateway.tell("rekey", spi=site.child()["spi_in"])
        elif rekey == "ike":
            site.gateway.tell("rekey-ike", spi=site.gateway.ike_sas()[0]["spi"])
        for host, target in ((site.here, THERE), (site.there, HERE)):
            assert "5 received" in ping(host, target, "-c", "5", "-i", "0.02").stdout
