"""strongSwan's charon with its load-tester plugin, as the peer of IKE figures."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.session import MissingError, Session

VARIABLE = "P4ESP_LOAD_TESTER"
WINDOW = 2.0
"""Seconds that are counted; charon's own deletes collide, so a long run is the slower one."""
ENDLESS = 1_000_000
"""Iterations. The plugin often stalls at the end of a finite run, so no run gets there."""
_ESTABLISHED = b"IKE_SA load-test["
INITIATORS = 8
_CONFIGURATION = """\
charon {{
  threads = 24
  ikesa_table_size = 4096
  ikesa_table_segments = 16
  dos_protection = no
  retry_initiate_interval = 0
  load = openssl random nonce hmac kdf curve25519 pem pkcs1 pubkey x509 constraints load-tester \
kernel-netlink socket-default
  filelog {{
    stderr {{
      default = -1
      ike = 0
    }}
  }}
  plugins {{
    load-tester {{
      enable = yes
      initiators = {initiators}
      iterations = {iterations}
      initiator = 127.0.0.1
      responder = 127.0.0.1
      proposal = aes256gcm16-prfsha256-curve25519
      esp = aes256gcm16
      initiator_auth = psk
      responder_auth = psk
      fake_kernel = yes
      delete_after_established = yes
    }}
  }}
}}
"""


def absence() -> str:
    """Why there is no charon to compare with; empty when there is one."""
    named = os.environ.get(VARIABLE, "")
    if not named:
        return f"peer not present: {VARIABLE} names no charon with the load-tester plugin"
    return "" if Path(named).is_file() else f"peer not present: {named} is no file"


def handshakes_per_second(session: Session) -> float:
    """Handshakes of one charon with itself, a second of its processor time, starting left out.

    PSK, x25519, AES-GCM-16-256, PRF-HMAC-SHA2-256; a delete ends each. `MissingError` without it.
    """
    if why := absence():
        raise MissingError(why)
    configuration = session.scratch() / "strongswan.conf"
    configuration.write_text(_CONFIGURATION.format(initiators=INITIATORS, iterations=ENDLESS))
    with _charon(configuration) as charon:
        assert charon.stderr is not None
        _ends_established(charon.stderr, seconds=0)
        before = _processor_time(charon.pid)
        ends = _ends_established(charon.stderr, WINDOW)
        return ends / 2 / (_processor_time(charon.pid) - before)


@contextmanager
def _charon(configuration: Path) -> Iterator[subprocess.Popen[bytes]]:
    """In a network namespace of its own, which ends with it."""
    with subprocess.Popen(
        ["unshare", "-rn", "sh", "-c", f"ip link set lo up; exec {os.environ[VARIABLE]}"],
        env=os.environ | {"STRONGSWAN_CONF": str(configuration)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as charon:
        try:
            yield charon
        finally:
            charon.kill()


def _ends_established(log: IO[bytes], seconds: float) -> int:
    """Lines that say so, one from either end, up to the first one after `seconds`."""
    until, ends = time.monotonic() + seconds, 0
    for line in log:
        if _ESTABLISHED in line and b"] established" in line:
            ends += 1
            if time.monotonic() >= until:
                return ends
    raise MissingError("peer not present: charon ended, or established no IKE SA")


def _processor_time(pid: int) -> float:
    """Seconds of user and system time so far, of all its threads: proc(5), fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
