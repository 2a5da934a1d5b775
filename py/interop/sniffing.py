"""What went over a cable, captured by tcpdump and read by tshark."""

import subprocess
from pathlib import Path

from logged_process import LoggedProcess
from netlab import Namespace


class Sniffer:
    """Captures UDP of an interface; a context manager. Read it afterwards."""

    def __init__(self, namespace: Namespace, directory: Path, interface: str = "wire") -> None:
        self._file = directory / "sniffed.pcap"
        command = ["tcpdump", "-Z", "root", "-U", "--immediate-mode", "-i", interface]
        words = [*command, "-w", str(self._file), "udp"]
        self._process = LoggedProcess(namespace, words, directory / "tcpdump.log")

    def __enter__(self) -> "Sniffer":
        self._process.wait_for("listening on")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def fields(self, wanted: str, *names: str) -> list[list[str]]:
        """Fields of the packets that fit a display filter, in order."""
        options = [option for name in names for option in ("-e", name)]
        command = ["tshark", "-r", str(self._file), "-Y", wanted, "-T", "fields", *options]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return [line.split("\t") for line in done.stdout.splitlines()]
