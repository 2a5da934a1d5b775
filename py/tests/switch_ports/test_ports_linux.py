"""Switch ports on Linux interfaces, in a network namespace of their own."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from p4esp.switch.ports.linux import InterfaceError, InterfaceSpec

SESSION = Path(__file__).with_name("tap_session.py")


@cache
def can_make_interfaces() -> bool:
    """Whether this user may open a network namespace and TAP interfaces in it."""
    probe = ["unshare", "-rn", "test", "-w", "/dev/net/tun"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not can_make_interfaces(), reason="user namespaces or /dev/net/tun missing")
def test_frames_pass_with_their_vlan_tags_and_in_order() -> None:
    command = ["unshare", "-rn", sys.executable, SESSION]
    result = subprocess.run(command, capture_output=True, check=False, timeout=30)
    assert result.returncode == 0, result.stderr.decode()
    assert json.loads(result.stdout) == {
        "plain": True,
        "tagged": True,
        "burst": True,
        "missing": "interface 'p4esp1' does not exist",
    }


def test_interface_of_the_command_line() -> None:
    assert InterfaceSpec.parse("3@veth0") == InterfaceSpec(3, "veth0")


@pytest.mark.parametrize("text", ["veth0", "@veth0", "3@", "x@veth0", "511@veth0", "-1@veth0"])
def test_bad_interface_is_refused_by_name(text: str) -> None:
    with pytest.raises(InterfaceError, match="accepted: PORT@NAME"):
        InterfaceSpec.parse(text)
