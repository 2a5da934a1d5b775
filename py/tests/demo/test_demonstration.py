"""The demonstration keeps its promises, and would notice if one were broken."""

import asyncio
import io
import json
import os
import shutil
import stat
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from lab_helpers import PROGRAM
from rich.console import Console
from tshark_dissector import dissect

from p4esp.demo.attacks import SCENARIOS, carry_out, is_repelled
from p4esp.demo.facts import CLAIMS, Facts
from p4esp.demo.lab import running_lab
from p4esp.demo.plan import Change
from p4esp.demo.report import Report
from p4esp.demo.run import PACKETS, demonstrate
from p4esp.demo.site import LabEngine
from p4esp.demo.wireshark import KeyLog

TSHARK = shutil.which("tshark")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Facts, Path]:
    directory = tmp_path_factory.mktemp("demo")
    return asyncio.run(demonstrate(PROGRAM, directory, 1, lambda _, __: None)), directory


def test_every_claim_is_made_and_holds(demo: tuple[Facts, Path]) -> None:
    facts, _ = demo
    assert [check for check in facts.checks if not check.held] == []
    assert {check.name for check in facts.checks} == set(CLAIMS)
    assert facts.all_held


def test_the_facts_are_json(demo: tuple[Facts, Path]) -> None:
    facts = json.loads(json.dumps(demo[0].as_json()))
    assert facts["all_held"] is True
    assert [item["identical"] for item in facts["traffic"]] == [PACKETS, PACKETS]
    counters = [item["counter"] for item in facts["attacks"]]
    assert len(set(counters)) == len(SCENARIOS), "each attack has a counter of its own"


def test_a_missing_or_broken_claim_is_a_failure() -> None:
    facts = Facts()
    for name in CLAIMS[1:]:
        facts.check(name, True)
    assert not facts.all_held
    facts.check(CLAIMS[0], True)
    assert facts.all_held
    facts.check("another", False)
    assert not facts.all_held


async def test_an_attack_that_gets_through_is_noticed() -> None:
    """An engine that opens nothing but says DONE makes the flipped bit pass as another reason."""
    (flip,) = [scenario for scenario in SCENARIOS if scenario.name == "flipped bit"]
    async with running_lab(PROGRAM) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        lab.right.engine.tamper = _say_done
        assert not is_repelled(await carry_out(lab, flip))


def _say_done(request: bytes, reply: bytes | None) -> bytes | None:
    if reply is None or reply[16] == 0:
        return reply
    return reply[:16] + b"\0" + reply[17:] + request[len(reply) :]


def test_key_files_are_for_the_owner_alone(demo: tuple[Facts, Path]) -> None:
    for name in ("esp_sa", "ikev2_decryption_table", "p4esp_sa"):
        mode = stat.S_IMODE((demo[1] / "wireshark" / name).stat().st_mode)
        assert mode == 0o600


def tshark(directory: Path, *arguments: str) -> list[str]:
    """Lines that tshark prints about the capture, with the demonstration's keys."""
    assert TSHARK is not None
    preferences = ("esp.enable_encryption_decode", "esp.enable_authentication_check")
    options = [word for name in preferences for word in ("-o", f"{name}:TRUE")]
    done = subprocess.run(
        [TSHARK, "-r", str(directory / "wire.pcap"), *options, *arguments],
        env={**os.environ, "WIRESHARK_CONFIG_DIR": str(directory / "wireshark")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(TSHARK is None, reason="tshark missing")
def test_tshark_decrypts_and_verifies_every_esp_packet_but_the_tampered_one(
    demo: tuple[Facts, Path],
) -> None:
    fields = ["-e", "esp.icv_good", "-e", "esp.icv_bad", "-e", "udp.dstport"]
    lines = tshark(demo[1], "-Y", "esp.icv", "-T", "fields", *fields)
    verdicts = Counter(line.split("\t")[0] for line in lines)
    assert verdicts["0"] == 1, "the flipped bit"
    assert verdicts["1"] >= 2 * PACKETS
    good = [line.split("\t") for line in lines if line.startswith("1")]
    ports = Counter(port for _, _, port in good)
    assert ports.keys() == {"40001", ""}, "what is inside is shown"
    assert ports[""] == 2, "a ping and its reply"


@pytest.mark.skipif(TSHARK is None, reason="tshark missing")
def test_our_dissector_opens_the_demonstration_with_the_other_key_file(
    demo: tuple[Facts, Path],
) -> None:
    keys = demo[1] / "wireshark" / "p4esp_sa"
    rows = dissect(demo[1] / "wire.pcap", keys, "-c", "500")
    sealed = [row for row in rows if row.format]
    assert len(sealed) > 400
    assert {(row.good, row.faults) for row in sealed} == {("1", frozenset())}
    assert {row.inner[12:20] for row in sealed} == {bytes((10, 1, 0, 10, 10, 2, 0, 10))}


@pytest.mark.skipif(TSHARK is None, reason="tshark missing")
def test_tshark_decrypts_the_ike_exchange(demo: tuple[Facts, Path]) -> None:
    text = "\n".join(tshark(demo[1], "-Y", "isakmp.exchangetype == 35", "-V"))
    for identity in ("left.example", "right.example"):
        assert identity in text
    assert "Traffic Selector - Initiator" in text


def test_an_unplugged_lab_engine_answers_nothing() -> None:
    engine = LabEngine()
    engine.up = False
    assert engine.process(bytes(64)) is None


def test_keys_never_go_into_a_file_that_others_may_read(tmp_path: Path) -> None:
    left = tmp_path / "esp_sa"
    left.write_text("of a demonstration long ago")
    left.chmod(0o644)
    for path in KeyLog().write(tmp_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert left.read_text() == ""


async def test_gateways_that_do_not_agree_are_a_failed_claim_with_the_reason(
    tmp_path: Path,
) -> None:
    change = Change(psk={"right": "another key altogether"})
    facts = await demonstrate(PROGRAM, tmp_path, 1, lambda _, __: None, change)
    assert {check.name for check in facts.checks} == set(CLAIMS)
    assert not any(check.held for check in facts.checks)
    (tunnel,) = [check for check in facts.checks if check.name == "tunnel up"]
    assert "no tunnel; " in tunnel.detail
    assert "AUTHENTICATION_FAILED" in tunnel.detail


async def test_an_engine_that_answers_nothing_breaks_claims_and_not_the_demonstration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LabEngine, "process", lambda self, frame: None)
    facts = await demonstrate(PROGRAM, tmp_path, 1, lambda _, __: None)
    assert {check.name for check in facts.checks} == set(CLAIMS)
    held = {check.name for check in facts.checks if check.held}
    assert not held & {"one packet's trace", "traffic left to right", "replayed packet"}


def test_a_reason_is_printed_as_it_is(tmp_path: Path) -> None:
    """Selectors have brackets, which are markup to the terminal."""
    console = Console(record=True, width=200, file=io.StringIO())
    facts = Facts()
    facts.check("tunnel up", False, "10.1.0.0/16[udp/any] refused")
    Report(console, tmp_path).step("aftermath", facts)
    assert "10.1.0.0/16[udp/any] refused" in console.export_text()
