"""strongSwan's charon with its load-tester plugin, as the peer of IKE figures."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from bench.session import MissingError, Session

VARIABLE = "P4ESP_LOAD_TESTER"
TIMEOUT = 20
TRIES = 4
"""The load tester sometimes stalls at its end; such a run does not count."""
INITIATORS = 8
_CONFIGURATION = """\
charon {{
  threads = 24
  dos_protection = no
  retry_initiate_interval = 0
  load = openssl random nonce hmac kdf curve25519 pem pkcs1 pubkey x509 constraints load-tester \
kernel-netlink socket-default
  filelog {{
    stderr {{
      default = -1
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
      shutdown_when_complete = yes
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


def handshakes_per_second(session: Session, handshakes: int) -> float:
    """Handshakes of one charon with itself, a second of its processor time, starting left out.

    PSK, x25519, AES-GCM-16-256, PRF-HMAC-SHA2-256; a delete ends each. `MissingError` without it.
    """
    if why := absence():
        raise MissingError(why)
    few, many = 1, max(2, handshakes // INITIATORS)
    spent = _processor_time(session, many) - _processor_time(session, few)
    return INITIATORS * (many - few) / spent


def _processor_time(session: Session, iterations: int) -> float:
    """Seconds of processor time of one run that came to its end."""
    configuration = session.scratch() / "strongswan.conf"
    configuration.write_text(_CONFIGURATION.format(initiators=INITIATORS, iterations=iterations))
    for _ in range(TRIES):
        started = _children_time()
        with suppress(subprocess.TimeoutExpired):
            _run(configuration)
            return _children_time() - started
    raise TimeoutError(f"charon's load tester stalled {TRIES} times")


def _run(configuration: Path) -> None:
    """In a network namespace of its own, which ends with the run."""
    subprocess.run(
        ["unshare", "-rn", "sh", "-c", f"ip link set lo up; exec {os.environ[VARIABLE]}"],
        env=os.environ | {"STRONGSWAN_CONF": str(configuration)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # it signals its process group when it is done
        timeout=TIMEOUT,
        check=True,
    )


def _children_time() -> float:
    times = os.times()
    return times.children_user + times.children_system
