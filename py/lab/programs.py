"""The programs that `make lab` runs, and the Debian packages that hold them."""

import os
import shutil
from collections.abc import Mapping
from typing import Final

SYSTEM_PATH: Final = "/usr/sbin:/sbin"
PACKAGES: Final[Mapping[str, str]] = {
    "ip": "iproute2",
    "ss": "iproute2",
    "ethtool": "ethtool",
    "mount": "mount",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "ping": "iputils-ping",
    "sysctl": "procps",
    "iperf3": "iperf3",
    "dumpcap": "tshark",
    "tshark": "tshark",
}


def missing() -> list[str]:
    """The programs that are not here."""
    path = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}"
    return [name for name in PACKAGES if shutil.which(name, path=path) is None]


def how_to_get(names: list[str]) -> str:
    """What a user can do about it."""
    packages = sorted({PACKAGES[name] for name in names})
    return f"{', '.join(names)} not found; accepted: apt-get install {' '.join(packages)}"
