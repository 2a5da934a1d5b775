"""`p4esp doctor` asks running daemons what has failed."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from daemon_lab import free_udp_ports, peer_section, running_daemon

from p4esp.service.control_client import ControlError

WITH, PLAIN = ["aes256gcm16-x25519-noesn"], ["aes256gcm16-noesn"]


def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    code = "from p4esp.cli.main import main; main()"
    command = [sys.executable, "-c", code, "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def asked(*controls: Path) -> list[str]:
    return [word for control in controls for word in ("--control", str(control))]


async def mismatched(directory: Path, act):
    """Two daemons whose children differ in their key exchange; what `act` makes of both sockets."""
    here, there = "127.0.0.1", "127.0.0.2"
    ike, nat = free_udp_ports(2)
    common = {"port": ike, "nat_port": nat, "experimental": True}

    def section(name, at, other, proposals):
        peer = peer_section(name, at, other, extensions={"pfs_info": True})
        peer["children"][0]["proposals"] = proposals
        return {"listen": [at], "control": f"{name}.sock", "peers": [peer], **common}

    async with (
        asyncio.timeout(30),
        running_daemon(directory, **section("east", here, there, WITH)) as west,
        running_daemon(directory, **section("west", there, here, PLAIN)) as east,
    ):
        with pytest.raises(ControlError, match="NO_PROPOSAL_CHOSEN; the IKE SA is up"):
            await west.tell("up", peer="east")
        return await act(west.control, east.control)


async def test_both_ends_are_asked_and_the_mismatch_is_explained(tmp_path: Path) -> None:
    async def act(west, east):
        return await asyncio.to_thread(doctor, *asked(west, east), "--json")

    ours, theirs = json.loads((await mismatched(tmp_path, act)).stdout)
    assert (ours["explanation"], theirs["explanation"]) == ("no-esp-proposal", "pfs-mismatch")
    assert "wants x25519" in theirs["cause"]
    assert theirs["count"] == 1
    assert set(theirs) == {"gateway", "explanation", "cause", "remedy", "seen", "count"}


async def test_people_read_cause_remedy_and_the_line_of_the_journal(tmp_path: Path) -> None:
    async def act(_, east):
        return await asyncio.to_thread(doctor, *asked(east))

    told = (await mismatched(tmp_path, act)).stdout
    assert told.startswith("ike: pfs-mismatch\n  cause ")
    assert "\n  remedy " in told
    assert "\n  seen    SA failed west " in told


async def test_where_nothing_failed_it_says_so(tmp_path: Path) -> None:
    ike, nat = free_udp_ports(2)
    async with running_daemon(
        tmp_path, port=ike, nat_port=nat, control="x.sock", peers=[]
    ) as daemon:
        done = await asyncio.to_thread(doctor, *asked(daemon.control))
        assert done.stdout == "nothing has failed that there is an explanation for\n"
        done = await asyncio.to_thread(doctor, *asked(daemon.control), "--json")
        assert json.loads(done.stdout) == []


def test_without_a_process_it_fails_in_one_line(tmp_path: Path) -> None:
    done = doctor(*asked(tmp_path / "none.sock"))
    assert done.returncode == 1
    assert done.stderr.startswith("p4esp doctor: ")
    assert done.stderr.count("\n") == 1
