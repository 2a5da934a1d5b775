"""What went over a cable, captured by tcpdump and read by tshark."""

import subprocess
from pathlib import Path

from lab.logged_process import LoggedProcess
from lab.netlab import Namespace


class Sniffer:
    """Captures an interface; a context manager. Read it afterwards.

    `wanted` is a filter of tcpdump's, `snap` the octets kept of each frame, 0 for all of them.
    """

    def __init__(
        self,
        namespace: Namespace,
        directory: Path,
        interface: str = "wire",
        *,
        wanted: str = "udp",
        snap: int = 0,
    ) -> None:
        self.file = directory / "sniffed.pcap"
        command = ["tcpdump", "-Z", "root", "-U", "--immediate-mode", "-i", interface]
        words = [*command, "-s", str(snap), "-w", str(self.file), *wanted.split()]
        self._process = LoggedProcess(namespace, words, directory / "tcpdump.log")

    def __enter__(self) -> "Sniffer":
        self._process.wait_for("listening on")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def fields(self, wanted: str, *names: str) -> list[list[str]]:
        """Fields of the packets that fit a display filter, in order."""
        options = [option for name in names for option in ("-e", name)]
        filtered = ["-Y", wanted] if wanted else []
        command = ["tshark", "-r", str(self.file), *filtered, "-T", "fields", *options]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return [line.split("\t") for line in done.stdout.splitlines()]
