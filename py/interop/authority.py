"""A certification authority made with strongSwan's `pki`: its certificates are not our own work."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charon_daemon import Charon

KINDS = {
    "rsa": ("rsa", "--size", "2048"),
    "ecdsa": ("ecdsa", "--size", "256"),
    "ecdsa384": ("ecdsa", "--size", "384"),
    "ed25519": ("ed25519",),
}


def pki(*arguments: str) -> bytes:
    """What `pki` prints in PEM."""
    command = ["pki", *arguments, "--outform", "pem"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A CA, and whatever it issues, in one directory."""

    def __init__(
        self, directory: Path, kind: str, name: str = "ca", above: "Authority | None" = None
    ) -> None:
        """`above`: the CA that issues this one; None: it is a root."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._kind = directory, KINDS[kind]
        self.own = (above or self)._issue(self._new_key(name), name, "--ca", root=above is None)

    def host(self, name: str, *names: str) -> Issued:
        """A host with `name` and more as alternative names."""
        options = [item for each in (name, *names) for item in ("--san", each)]
        return self._issue(self._new_key(name), name, *options)

    def crl(self, *revoked: Issued) -> Path:
        """A revocation list in force."""
        options = [item for each in revoked for item in ("--cert", str(each.certificate))]
        command = ("--signcrl", *self._signer, "--lifetime", "2", *options)
        return self._write("ca.crl", pki(*command))

    @property
    def _signer(self) -> tuple[str, ...]:
        return "--cacert", str(self.own.certificate), "--cakey", str(self.own.key)

    def _new_key(self, name: str) -> Path:
        return self._write(f"{name}.key", pki("--gen", "--type", *self._kind))

    def _issue(self, key: Path, name: str, *options: str, root: bool = False) -> Issued:
        how = ("--self",) if root else ("--issue", *self._signer)
        kind = (*("--type", "priv"),) if not root else ()
        subject = ("--lifetime", "30", "--dn", f"C=CH, O=p4esp, CN={name}")
        certificate = pki(*how, "--in", str(key), *kind, *subject, *options)
        return Issued(self._write(f"{name}.pem", certificate), key)

    def _write(self, name: str, octets: bytes) -> Path:
        path = self._directory / name
        path.write_bytes(octets)
        os.chmod(path, 0o600)
        return path


def provide(charon: Charon, own: Issued, *authorities: Path) -> None:
    """Give charon its key, and CAs to trust."""
    charon.vici.request("load-key", type="any", data=own.key.read_bytes())
    for authority in authorities:
        data = authority.read_bytes()
        charon.vici.request("load-cert", type="X509", flag="CA", data=data)


def their_side(own: Issued, identity: str, peer: str, *intermediates: Path) -> dict[str, Any]:
    """Connection keys of charon for certificates in both directions."""
    certificates = [own.certificate.read_bytes(), *(path.read_bytes() for path in intermediates)]
    return {
        "local": {"auth": "pubkey", "id": identity, "certs": certificates},
        "remote": {"auth": "pubkey", "id": peer},
    }
