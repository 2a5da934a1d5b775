"""What goes over a cable, captured by dumpcap and read by tshark."""

import subprocess
from pathlib import Path

from lab.logged_process import LoggedProcess
from lab.netlab import Namespace


def recorder(namespace: Namespace, interface: str, file: Path, *, snap: int = 0) -> LoggedProcess:
    """Captures an interface until it is stopped; `snap`: octets kept of each frame, 0: all.

    It needs no user to drop its privileges to, which tcpdump does. What came within a quarter of a
    second before its end may be missing.
    """
    words = ("dumpcap", "-q", "-P", "-i", interface, "-s", str(snap), "-w", str(file))
    process = LoggedProcess(namespace, words, file.with_suffix(".log"))
    process.wait_for("^File: ")
    return process


def fields(file: Path, wanted: str, *names: str) -> list[list[str]]:
    """Fields of the packets that fit a display filter (empty: of all), in order."""
    options = [option for name in names for option in ("-e", name)]
    chosen = ["-Y", wanted] if wanted else []
    command = ["tshark", "-r", str(file), *chosen, "-T", "fields", *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [line.split("\t") for line in done.stdout.splitlines()]
