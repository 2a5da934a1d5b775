"""Our daemon and a pluto on one cable; its kernel side is pretended."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.netlab import Lab
from libreswan_daemon import Libreswan
from our_daemon import OurDaemon
from pairing import OUR_ID, OUR_NETS, OURS, PSK, THEIR_ID, THEIR_NETS, THEIRS, Role, Terms

CONNECTION = f"""\
 ikev2=insist
 authby=secret
 left={THEIRS[0]}
 leftid=@{THEIR_ID}
 leftsubnet={THEIR_NETS[0]}
 right={OURS[0]}
 rightid=@{OUR_ID}
 rightsubnet={OUR_NETS[0]}
 ike=aes_gcm128-sha2_256;dh31
 esp=aes_gcm128-null
 pfs=no
 leftupdown=%disabled
 rekey=no
 auto=add"""
TERMS = Terms(ike="aes128gcm16-prfsha256-x25519", esp="aes128gcm16")


@dataclass(slots=True)
class Connected:
    """Both daemons."""

    ours: OurDaemon
    theirs: Libreswan

    def up(self, role: Role) -> None:
        """Bring the child up in our role."""
        if role == "initiator":
            self.ours.tell("up", peer="charon", child="net")
        else:
            self.theirs.whack("--initiate", "--name", "net")
            self.ours.wait("child-up")


@contextmanager
def connection(
    shim: Path, tmp_path: Path, terms: Terms, *, more: str = "", secrets: Sequence[str] = ()
) -> Iterator[Connected]:
    """Both daemons run. `more` lines of pluto's connection, and more `secrets` of its file."""
    with Lab(f"lsw{os.getpid()}") as lab:
        us, them = lab.host("us"), lab.host("them")
        lab.cable((us, "wire", [f"{OURS[0]}/24"]), (them, "wire", [f"{THEIRS[0]}/24"]))
        known = "\n".join([f'@{THEIR_ID} @{OUR_ID} : PSK "{PSK}"', *secrets])
        lines = f"{CONNECTION}\n{more}"
        with (
            Libreswan(them, tmp_path / "pluto", lines, known, shim) as theirs,
            OurDaemon(
                *(us, tmp_path / "ours", terms.our_configuration()), program=terms.our_program
            ) as ours,
        ):
            yield Connected(ours, theirs)
