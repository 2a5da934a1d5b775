"""strongSwan's charon in a namespace, configured and watched over vici."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lab.logged_process import LoggedProcess
from lab.netlab import Namespace
from programs import ADDITIONAL_KE, CHARON
from vici import Vici

PLUGINS: Final = (
    "random nonce openssl sha1 sha2 hmac kdf drbg gmp curve25519 chapoly xcbc cmac mgf1 x509 "
    "revocation constraints pubkey pem pkcs1 pkcs7 pkcs8 pkcs12"
)
"""openssl comes first: the plugins' own ciphers are ten times slower."""
STARTED: Final = "spawning"
"""In the log line that follows the opening of all sockets."""
EVENTS: Final = ("ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey")
RETRANSMISSION: Final = {
    "retransmit_timeout": 1,
    "retransmit_base": 1.5,
    "retransmit_tries": 3,
}
"""So that a dead peer is found dead within ten seconds."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """What charon does with its SAs, and global options."""

    kernel: str
    """Plugins of the data plane."""
    shim: Path | None = None
    """Preloaded, so that a kernel without ESP seems to take SAs."""
    options: Mapping[str, object] = field(default_factory=dict)


def libipsec(**options: object) -> Flavour:
    """ESP in user space: always in UDP, tunnel mode, no ESN. It carries traffic."""
    return Flavour("kernel-libipsec kernel-netlink", None, options)


def control_plane(shim: Path, **options: object) -> Flavour:
    """Everything IKE can negotiate, and no traffic."""
    return Flavour("kernel-netlink", shim, options)


def settings(sections: Mapping[str, object], depth: int = 0) -> str:
    """strongswan.conf: sections are dictionaries."""
    indent, lines = "  " * depth, []
    for name, value in sections.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name} {{", settings(value, depth + 1), f"{indent}}}"]
        else:
            lines.append(f"{indent}{name} = {value}")
    return "\n".join(lines)


class Charon:
    """A running daemon; a context manager."""

    def __init__(self, namespace: Namespace, directory: Path, flavour: Flavour) -> None:
        self.namespace = namespace
        self._directory = directory
        self._flavour = flavour

    def __enter__(self) -> "Charon":
        (self._directory / "run").mkdir(parents=True)
        self._write_configuration()
        self._process = self._start()
        self._process.wait_for(STARTED)
        self.vici = Vici(self.socket)
        return self

    def __exit__(self, *_: object) -> None:
        self.vici.close()
        self._process.stop()

    def kill(self) -> None:
        """End it without a word to the peer."""
        self._process.kill()

    @property
    def said(self) -> int:
        """Lines of its log so far."""
        return self._process.said

    def wait_for_log(self, pattern: str, *, after: int = 0) -> str:
        """The first line of its log that matches, said already (behind line `after`) or yet to be
        said.
        """
        return self._process.wait_for(pattern, after=after)

    @property
    def socket(self) -> Path:
        """The vici socket."""
        return self._directory / "run" / "charon.vici"

    def _write_configuration(self) -> None:
        vici = {"vici": {"socket": f"unix://{self.socket}"}}
        log = {"stderr": {"default": 1, "ike": 2, "cfg": 2}}  # stdout would be buffered
        more = "ml sha3" if ADDITIONAL_KE else ""
        kernel = f"{PLUGINS} {more} {self._flavour.kernel} socket-default vici updown counters"
        charon = {
            "load": kernel,
            "filelog": log,
            "plugins": vici,
            **RETRANSMISSION,
            **self._flavour.options,
        }
        (self._directory / "strongswan.conf").write_text(settings({"charon": charon}))

    def _start(self) -> LoggedProcess:
        """The pid file's place is compiled in, so each daemon has a `/run` of its own."""
        private = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
        shim = self._flavour.shim
        preload = f'env LD_PRELOAD="{shim}" ' if shim is not None else ""
        script = f'mount --bind "{self._directory}/run" /run && exec {preload}{CHARON}'
        environment = {**os.environ, "STRONGSWAN_CONF": str(self._directory / "strongswan.conf")}
        log = self._directory / "charon.log"
        return LoggedProcess(self.namespace, [*private, script], log, environment)

    def load(self, connection: Mapping[str, Any], secrets: Iterable[Mapping[str, Any]]) -> None:
        """Take a configuration; the connection is a dictionary with its name."""
        for secret in secrets:
            self.vici.request("load-shared", **secret)
        self.vici.request("load-conn", **connection)

    def clear(self) -> None:
        """Forget all connections and secrets, and end all SAs."""
        if not self._process.running:
            return
        for name in self.vici.request("get-conns")["conns"]:
            self.vici.request("unload-conn", name=name)
        for sa in self.sas():
            self.vici.stream(
                "terminate", "control-log", **{"ike-id": sa["uniqueid"], "force": "yes"}
            )
        self.vici.request("clear-creds")

    def initiate(self, child: str, **arguments: Any) -> None:
        """Bring a child up; ViciError when it does not come up."""
        self.vici.request("initiate", **{"child": child, "timeout": 20000} | arguments)

    def terminate(self, **arguments: Any) -> None:
        """Delete SAs, named by `ike` or `child`."""
        self.vici.request("terminate", **{"timeout": 20000} | arguments)

    def rekey(self, **arguments: Any) -> None:
        """Start rekeying, of an `ike` or a `child`."""
        self.vici.request("rekey", **arguments)

    def sas(self) -> list[dict[str, Any]]:
        """The IKE SAs, each with its name under `name`."""
        found = self.vici.stream("list-sas", "list-sa")
        return [{"name": name, **facts} for entry in found for name, facts in entry.items()]

    def children(self) -> list[dict[str, Any]]:
        """The child SAs that are installed."""
        every = [child for sa in self.sas() for child in sa["child-sas"].values()]
        return [child for child in every if child["state"] == "INSTALLED"]

    def watch(self) -> "CharonEvents":
        """Its events from now on."""
        return CharonEvents(self.socket)


class CharonEvents:
    """Events of a daemon; a context manager."""

    def __init__(self, path: Path) -> None:
        self._vici = Vici(path)
        self._vici.listen(*EVENTS)

    def __enter__(self) -> "CharonEvents":
        return self

    def __exit__(self, *_: object) -> None:
        self._vici.close()

    def wait(self, name: str, wanted: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
        """The next event of a name that is wanted."""
        return next(
            facts for event, facts in self._vici.events() if event == name and wanted(facts)
        )
