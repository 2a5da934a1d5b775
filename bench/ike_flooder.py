"""Sends IKE_SA_INIT requests from many addresses that nobody answers from.

    python -m bench.ike_flooder HOST PORT RATE FILE

FILE holds one request; each packet has another initiator SPI. The sources are 127.66.0.0/16, so no
privilege is needed. Runs until it is killed; a line for each second tells how many were sent.
"""

from __future__ import annotations

import socket
import sys
from itertools import count, cycle
from pathlib import Path
from time import monotonic, sleep

SOURCES = 500
SCATTER = 0x9E37_79B9_7F4A_7C15
"""Odd, so that no SPI comes twice."""
BURST = 25
"""Packets between two looks at the clock."""


def main(host: str, port: str, rate: str, file: str) -> None:
    """The command line."""
    request, target = Path(file).read_bytes(), (host, int(port))
    sources = cycle([_source(number) for number in range(SOURCES)])
    start, told, pace = monotonic(), 0, BURST / float(rate)
    for burst in count(1):
        for number in range(burst * BURST, (burst + 1) * BURST):
            spi = (number * SCATTER % 2**64).to_bytes(8, "big")
            next(sources).sendto(spi + request[8:], target)
        sleep(max(0.0, start + burst * pace - monotonic()))
        if monotonic() - start > told + 1:
            told += 1
            print(burst * BURST, flush=True)


def _source(number: int) -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((f"127.66.{number // 250}.{number % 250 + 1}", 0))
    udp.setblocking(True)
    return udp


if __name__ == "__main__":
    main(*sys.argv[1:])
