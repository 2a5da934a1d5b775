"""What an operator can see of IKE, and what nobody may see."""

import errno
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
import typer
from ike_lab import EAST_NET, WEST_NET, Lab, child, east_config, preshared, west_config

from p4esp.cli.printing import print_entry
from p4esp.ike.audit import Audit
from p4esp.ike.codec.header import Header
from p4esp.ike.events import ChildUp
from p4esp.ike.path import Path as UdpPath
from p4esp.ike.path import UdpAddress
from p4esp.ike.proposals import Template
from p4esp.ike.trace import TraceKind, TraceRecord
from p4esp.service.audit import trace_hook
from p4esp.service.journal import MAX_TEXT, Entry, Journal, Kind
from p4esp.service.key_export import ESP_FILE, IKE_FILE, SA_FILE, KeyFiles
from p4esp.service.trace_lines import TraceLines

WAY = UdpPath(UdpAddress(ip_address("192.0.2.1"), 500), UdpAddress(ip_address("192.0.2.2"), 500))
OPENING = Header(b"i" * 8, bytes(8), 34, True, False, 0)


def dropped(time: float, peer: str = "", reason: str = "no such peer") -> TraceRecord:
    return TraceRecord(time, TraceKind.DROPPED, WAY, OPENING, peer, reason=reason)


def test_a_failed_exchange_is_told_with_peer_exchange_and_reason() -> None:
    lab = Lab(east=east_config(auth=preshared(b"another horse")))
    journal = Journal()
    lab.connect()
    hook = trace_hook("east", journal, None)
    for record in lab.east.traces:
        hook(record)
    (entry,) = journal.entries
    assert entry.kind is Kind.EXCHANGE_FAILED
    assert str(entry).startswith("east: exchange failed ")
    assert "IKE_AUTH request 1: AUTHENTICATION_FAILED" in str(entry)


def test_strangers_cannot_flood_the_audit_and_hide_a_peer() -> None:
    journal = Journal()
    audit = Audit(trace_hook("left", journal, None), 10.0, 0.0)
    for _ in range(1000):
        audit(dropped(0.0))
    audit(dropped(0.0, "right", "INVALID_SYNTAX: what a known peer does"))
    audit(dropped(1.0))
    texts = [str(entry) for entry in journal.entries]
    assert len(texts) == 10 + 2
    assert "right IKE_SA_INIT request 0: INVALID_SYNTAX" in texts[-2]
    assert "(and 990 more like this)" in "".join(texts[-2:])


def test_what_went_well_is_no_matter_for_the_audit() -> None:
    journal = Journal()
    lab = Lab()
    lab.connect()
    for record in lab.west.traces + lab.east.traces:
        trace_hook("x", journal, None)(record)
    assert journal.entries == ()


def test_a_trace_is_a_line_of_json_for_each_message() -> None:
    stream = io.StringIO()
    lines = TraceLines(stream, lambda: datetime(2026, 1, 2, tzinfo=UTC))
    lab = Lab()
    lab.connect()
    for record in lab.west.traces:
        trace_hook("west", Journal(), lines.write)(record)
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["exchange"], line["direction"], line["kind"]) for line in written] == [
        ("IKE_SA_INIT", "request", "sent"),
        ("IKE_SA_INIT", "response", "received"),
        ("IKE_AUTH", "request", "sent"),
        ("IKE_AUTH", "response", "received"),
    ]
    assert {line["time"] for line in written} == {"2026-01-02T00:00:00.000000+00:00"}
    assert {line["gateway"] for line in written} == {"west"}


def exported(lab: Lab, files: KeyFiles) -> None:
    for facts in lab.west.keys:
        files.ike_keys(*facts)  # type: ignore[arg-type]
    for event in lab.west.of(ChildUp):
        files.child(event.child)


def test_keys_are_written_for_the_owner_alone_and_loudly(tmp_path: Path) -> None:
    stale = tmp_path / ESP_FILE
    stale.write_text("of an earlier run")
    stale.chmod(0o644)
    journal = Journal()
    files = KeyFiles(tmp_path, journal)
    lab = Lab()
    ike = lab.connect()
    lab.west.endpoint.rekey_ike(ike, lab.now)
    lab.settle()
    exported(lab, files)
    assert len((tmp_path / IKE_FILE).read_text().splitlines()) == 2, "before and after rekeying"
    assert len(stale.read_text().splitlines()) == 2, "both directions"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    (warning,) = journal.entries
    assert str(warning).startswith(f"WARNING: ALL KEYS ARE EXPORTED to {tmp_path}")


@pytest.mark.parametrize("trick", ["readable", "link", "gone"])
def test_keys_do_not_go_to_a_file_that_another_has_put_in_place(tmp_path: Path, trick: str) -> None:
    journal, elsewhere = Journal(), tmp_path / "elsewhere"
    files = KeyFiles(tmp_path, journal)
    elsewhere.touch()
    for name in (IKE_FILE, ESP_FILE, SA_FILE):
        path = tmp_path / name
        path.unlink()
        if trick == "link":
            path.symlink_to(elsewhere)
        elif trick == "readable":
            path.touch(mode=0o644)
    lab = Lab()
    lab.connect()
    exported(lab, files)
    assert [entry.kind for entry in journal.entries[1:]] == [Kind.NOT_EXPORTED] * 2
    assert all(path.read_text() == "" for path in tmp_path.iterdir())


def test_what_wireshark_cannot_read_is_told_and_left_out(tmp_path: Path) -> None:
    journal = Journal()
    files = KeyFiles(tmp_path, journal)
    terms = {"proposals": (Template.ike("chacha20poly1305-prfsha256-x25519"),)}
    esp = (Template.esp("chacha20poly1305"),)
    west = replace(child(WEST_NET, EAST_NET), proposals=esp)
    east = replace(child(EAST_NET, WEST_NET), proposals=esp)
    lab = Lab(west_config(**terms, children=(west,)), east_config(**terms, children=(east,)))
    lab.connect()
    exported(lab, files)
    assert [entry.kind for entry in journal.entries[1:]] == [Kind.NOT_EXPORTED] * 2
    assert (tmp_path / IKE_FILE).read_text() == (tmp_path / ESP_FILE).read_text() == ""
    lines = (tmp_path / SA_FILE).read_text().splitlines()
    assert ["encryption=chacha20poly1305" in line for line in lines] == [False, True, True]


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        KeyFiles(tmp_path / "file", Journal())


def test_an_entry_is_one_line_of_bounded_size_whatever_strangers_call_themselves() -> None:
    journal = Journal()
    text = "certificate CN=x\nike: IKE SA up east\x1b[2J\u2028" + "é" * 10**6
    journal.add(Entry("ike", Kind.IKE_FAILED, "192.0.2.9", text))
    line = str(journal.entries[0])
    assert line.isprintable()
    assert line.startswith("ike: IKE failed 192.0.2.9: certificate CN=x\\u000aike: IKE SA up")
    assert len(line) < MAX_TEXT + 100


class FullDisk(io.StringIO):
    """A file that takes nothing while the disk is full."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_a_trace_that_cannot_be_written_stops_nobody_and_tells_how_much_is_missing() -> None:
    file = FullDisk()
    lines = TraceLines(file, lambda: datetime(2026, 1, 2, tzinfo=UTC))
    for file.full in (False, True, True, False, False):
        lines.write("ike", TraceRecord(0.0, TraceKind.SENT, WAY))
    written = list(map(json.loads, file.getvalue().splitlines()))
    assert [line.get("missing") for line in written] == [None, 2, None]


def test_a_journal_that_cannot_be_printed_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever read the output may have gone, or the disk it goes to is full."""

    def broken(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(typer, "echo", broken)
    print_entry(Entry("left", Kind.READY, "switch"))
