"""The programs that the suite runs, and the Debian packages that hold them: run it to list them."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Program:
    """Where a program is looked for."""

    path: str | None = None
    """A directory that is not on PATH."""


CHARON = os.environ.get("P4ESP_CHARON", "/usr/lib/ipsec/charon")
"""Another build may be named, for what Debian's cannot do yet: see `ADDITIONAL_KE`."""
ADDITIONAL_KE = "P4ESP_CHARON" in os.environ
"""Whether charon does RFC 9370, which takes strongSwan 6 with its plugin `ml`."""
LIBRESWAN = Path(__file__).parents[2] / "build" / "libreswan"
"""libreswan's package conflicts with strongSwan's: it is unpacked here, and not installed."""
PROGRAMS = {
    "charon": Program("/usr/lib/ipsec"),
    "pki": Program(),
    "ip": Program(),
    "nsenter": Program(),
    "unshare": Program(),
    "nft": Program("/usr/sbin:/sbin"),
    "dumpcap": Program(),
    "tcpdump": Program("/usr/bin:/usr/sbin"),
    "tshark": Program(),
    "iperf3": Program(),
    "ping": Program(),
    "ethtool": Program("/usr/sbin:/sbin"),
    "sysctl": Program("/usr/sbin:/sbin"),
    "gcc": Program(),
    "certutil": Program(),
    "pluto": Program(str(LIBRESWAN / "usr" / "libexec" / "ipsec")),
}
PACKAGES = (
    "strongswan-charon",
    "strongswan-libcharon",
    "strongswan-swanctl",
    "strongswan-pki",
    "libcharon-extra-plugins",
    "libcharon-extauth-plugins",
    "libstrongswan-standard-plugins",
    "libstrongswan-extra-plugins",
    "iproute2",
    "iputils-ping",
    "nftables",
    "ethtool",
    "procps",
    "tcpdump",
    "tshark",
    "iperf3",
    "gcc",
    "libc6-dev",
    # and what libreswan needs:
    "libnss3-tools",
    "libldns3",
    "libunbound8",
    "libevent-pthreads-2.1-7",
    "libcurl3-nss",
)


if __name__ == "__main__":
    print(*PACKAGES)
