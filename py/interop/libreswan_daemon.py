"""libreswan's pluto in a namespace, from a package that is unpacked and not installed."""

import os
import subprocess
from pathlib import Path
from typing import Final

from lab.logged_process import LoggedProcess
from lab.netlab import Namespace
from programs import LIBRESWAN

ADDED: Final = "added IKEv2 connection"


class Libreswan:
    """A running pluto with one connection, `net`; a context manager."""

    def __init__(
        self, namespace: Namespace, directory: Path, connection: str, secret: str, shim: Path
    ) -> None:
        """`connection`: lines of `conn net`; `secret`: lines of its secrets file."""
        self._namespace = namespace
        self._directory = directory
        self._connection = connection
        self._secret = secret
        self._shim = shim

    def __enter__(self) -> "Libreswan":
        for name in ("run/pluto", "ipsec.d", "nss"):
            (self._directory / name).mkdir(parents=True)
        self._write()
        self._process = self._start()
        self._process.wait_for(ADDED)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def _write(self) -> None:
        place = self._directory
        files = f"ipsecdir={place}/ipsec.d\n nssdir={place}/nss\n secretsfile={place}/secrets"
        text = f"config setup\n {files}\n uniqueids=no\nconn net\n{self._connection}\n"
        (place / "ipsec.conf").write_text(text)
        (place / "secrets").write_text(f"{self._secret}\n")
        (place / "secrets").chmod(0o600)
        database = ["certutil", "-N", "-d", f"sql:{place}/nss", "--empty-password"]
        subprocess.run(database, check=True)

    def _start(self) -> LoggedProcess:
        """Its helpers are looked for where the package would have been installed."""
        place = self._directory
        private = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
        helpers = LIBRESWAN / "usr" / "libexec"
        script = (
            f"mount --bind {place}/run /run && mount --bind {helpers} /usr/libexec && "
            f"exec env LD_PRELOAD={self._shim} /usr/libexec/ipsec/pluto --nofork --stderrlog "
            f"--rundir /run/pluto --config {place}/ipsec.conf --ipsecdir {place}/ipsec.d "
            f"--nssdir {place}/nss --secretsfile {place}/secrets --log-no-audit --no-dnssec "
            "--use-xfrm --nhelpers 1"
        )
        return LoggedProcess(
            self._namespace, [*private, script], place / "pluto.log", dict(os.environ)
        )

    def whack(self, *words: str) -> None:
        """Command it, where its control socket is to be seen."""
        command = ["nsenter", f"--target={self._process.pid}", "--mount", "--net", "--"]
        whack = ["/usr/libexec/ipsec/whack", "--rundir", "/run/pluto", *words]
        subprocess.run([*command, *whack], check=True, capture_output=True)

    @property
    def said(self) -> int:
        """Lines of its log so far."""
        return self._process.said

    def wait_for_log(self, pattern: str, after: int = 0) -> str:
        """The first line of its log that matches."""
        return self._process.wait_for(pattern, after=after)
