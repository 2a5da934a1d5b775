"""What went over a cable, captured by tcpdump and read by tshark."""

from pathlib import Path

from lab.capture import fields
from lab.logged_process import LoggedProcess
from lab.netlab import Namespace


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
        return fields(self._file, wanted, *names)
