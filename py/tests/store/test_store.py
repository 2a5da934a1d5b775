"""The store keeps SAs over restarts, and gives no key away."""

import os
import shutil
import sqlite3
import stat
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from controller_samples import CHILD, record
from hypothesis import given
from hypothesis import strategies as st

from p4esp.ipsec.algorithms import SUITES
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.sa import ChildSaParams, DirectionKeys, Keymat, Share, UdpEncapsulation
from p4esp.ipsec.selectors import OPAQUE_PORTS, TrafficSelector
from p4esp.store import KeyFileError, SaRecord, SaState, Sealer, Store, StoreError
from p4esp.store.records import child_from, facts_of, secret_of

KEY = bytes(range(32))


@st.composite
def selectors(draw: st.DrawFn) -> TrafficSelector:
    address, top = draw(st.sampled_from([(IPv4Address, 2**32 - 1), (IPv6Address, 2**128 - 1)]))
    first, last = sorted(draw(st.tuples(st.integers(0, top), st.integers(0, top))))
    protocol = draw(st.integers(0, 255))
    ports = draw(st.sampled_from([(0, 65535), OPAQUE_PORTS]))
    if protocol:
        ports = draw(st.sampled_from([ports, (80, 443)]))
    return TrafficSelector(address(first), address(last), protocol, *ports)


@st.composite
def children(draw: st.DrawFn) -> ChildSaParams:
    suite = draw(st.sampled_from(list(SUITES.values())))
    sizes = (suite.key_size, suite.salt_size, suite.integrity_size)
    octets = st.tuples(*(st.binary(min_size=size, max_size=size) for size in sizes))
    ports = st.builds(UdpEncapsulation, st.integers(1, 65535), st.integers(1, 65535))
    some = st.lists(selectors(), min_size=1, max_size=3).map(tuple)
    return replace(
        CHILD,
        suite=suite,
        esn=draw(st.booleans()),
        initiator=draw(st.booleans()),
        spi_in=draw(st.integers(256, 2**32 - 1)),
        keymat=Keymat(DirectionKeys(*draw(octets)), DirectionKeys(*draw(octets))),
        encapsulation=draw(st.none() | ports),
        local_ts=draw(some),
        remote_ts=draw(some),
        remote_id=draw(st.builds(Identity, st.integers(0, 255), st.binary(max_size=20))),
        share=draw(shares),
    )


shares = st.builds(
    Share,
    st.none() | st.binary(max_size=8),
    st.lists(st.integers(0, 63), max_size=4).map(tuple),
    st.binary(max_size=40),
)


@given(children(), st.sampled_from(SaState))
def test_any_sa_comes_back_as_it_was(child: ChildSaParams, state: SaState) -> None:
    store = Store(None, Sealer(KEY))
    kept = SaRecord("left", state, 7, child, record().placement)
    store.add_sa(kept)
    assert store.sas("left") == [kept]
    assert store.sas("right") == []


def crashed(path: Path) -> Path:
    """What a crash leaves of a store that was never closed: its files, without their lock."""
    left = path.parent / "after"
    left.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, left)
    return left / path.name


def test_sas_survive_a_restart_of_the_controller(tmp_path: Path) -> None:
    path = tmp_path / "p4esp.db"
    before = Store(path, Sealer(KEY))
    before.add_sa(record(0, SaState.INSTALLING))
    before.add_sa(record(1))
    before.set_state("left", record(0).child.spi_in, SaState.DELETING)
    before.set_boot_id("left", 2**64 - 1)
    before.add_policy_id("left", "rule", 9)
    after = Store(crashed(path), Sealer(KEY))
    assert after.sas("left") == [record(0, SaState.DELETING), record(1)]
    assert after.boot_id("left") == 2**64 - 1
    assert after.boot_id("right") is None
    assert after.policy_ids("left") == {"rule": 9}


def test_a_generation_outlives_its_sa() -> None:
    store = Store(None, Sealer(KEY))
    store.add_sa(record())
    store.remove_sa("left", record().child.spi_in)
    assert store.sas("left") == []
    assert store.generations("left", "in") == {4: 6}
    assert store.generations("left", "out") == {3: 5}


def test_no_key_and_no_salt_is_in_any_file_of_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "p4esp.db", Sealer(KEY))
    hashed = Keymat(*(DirectionKeys(bytes([n]) * 16, b"", bytes([n + 1]) * 32) for n in (1, 3)))
    cbc = replace(CHILD, spi_in=7777, suite=SUITES["aes128-sha256"], keymat=hashed)
    for child in (CHILD, cbc):
        store.add_sa(replace(record(), child=child))
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for keys in (k for m in (CHILD.keymat, hashed) for k in (m.inbound, m.outbound)):
        for secret in filter(None, (keys.key, keys.salt, keys.integrity)):
            assert secret not in content
            assert secret.hex().encode() not in content


def test_sas_that_were_kept_before_there_were_integrity_keys_come_back() -> None:
    """Those of AEADs: their secrets have the same octets as ever."""
    old = b"".join(k.key + k.salt for k in (CHILD.keymat.inbound, CHILD.keymat.outbound))
    assert secret_of(CHILD) == old
    assert child_from(facts_of(record()), CHILD.spi_in, old) == CHILD


def test_sealed_keys_open_for_their_own_sa_only(tmp_path: Path) -> None:
    path = tmp_path / "p4esp.db"
    store = Store(path, Sealer(KEY))
    store.add_sa(record(0))
    store.add_sa(record(1))
    store.close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE sa SET sealed_keys = (SELECT sealed_keys FROM sa LIMIT 1)")
    raw.close()
    with pytest.raises(StoreError, match="left/11111112 do not open"):
        Store(path, Sealer(KEY)).sas("left")


def test_another_key_file_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p4esp.db"
    store = Store(path, Sealer(KEY))
    store.add_sa(record())
    store.close()
    with pytest.raises(StoreError, match="is the key file another one"):
        Store(path, Sealer(bytes(32))).sas("left")


def test_the_key_file_is_made_for_the_owner_alone_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "p4esp.key"
    sealed = Sealer.from_file(path).seal(b"secret", b"id")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Sealer.from_file(path).open(sealed, b"id") == b"secret"


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p4esp.key"
    path.write_bytes(KEY)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="mode 0640 lets others read the key; accepted: 0600"):
        Sealer.from_file(path)


def test_a_key_file_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p4esp.key"
    path.touch(mode=0o600)
    with pytest.raises(KeyFileError, match="0 octets; accepted: 32"):
        Sealer.from_file(path)


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p4esp.db"
    Store(path, Sealer(KEY)).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version=99")
    raw.close()
    with pytest.raises(StoreError, match="version 99; accepted: 1"):
        Store(path, Sealer(KEY))


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "p4esp.db"
    path.write_bytes(os.urandom(4096))
    with pytest.raises(StoreError, match=r"p4esp\.db"):
        Store(path, Sealer(KEY))


def test_the_state_of_an_unknown_sa_is_not_kept() -> None:
    store = Store(None, Sealer(KEY))
    store.set_state("left", 1, SaState.DELETING)
    assert store.sas("left") == []


def test_a_store_has_one_owner(tmp_path: Path) -> None:
    """Generations and policy ids are remembered by the controller that reads them."""
    path = tmp_path / "p4esp.db"
    owner = Store(path, Sealer(KEY))
    with pytest.raises(StoreError, match=r"p4esp\.db: database is locked"):
        Store(path, Sealer(KEY), patience=0)
    owner.close()
    Store(path, Sealer(KEY)).close()


def test_the_files_of_a_store_are_the_owners_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "p4esp.db", Sealer(KEY))
    store.add_sa(record())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_a_store_that_cannot_be_written_says_so_and_stays_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "p4esp.db", Sealer(KEY))
    store.add_sa(record(0))
    store._db.execute("PRAGMA query_only=ON")
    for write in (
        lambda: store.add_sa(record(1)),
        lambda: store.set_state("left", record(0).child.spi_in, SaState.DELETING),
        lambda: store.remove_all_sas("left"),
        lambda: store.set_boot_id("left", 1),
    ):
        with pytest.raises(StoreError, match=r"p4esp\.db: .*readonly"):
            write()
    assert store.sas("left") == [record(0)]


def test_a_key_file_is_there_complete_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match=r"p4esp\.key: No space left"):
        Sealer.from_file(tmp_path / "p4esp.key")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "p4esp.db"
    path.touch()
    path.chmod(0o644)
    Store(path, Sealer(KEY)).add_sa(record())
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_what_is_no_file_keeps_its_mode(tmp_path: Path) -> None:
    """A path that was meant for another key may be a directory, or a device."""
    tmp_path.chmod(0o755)
    with pytest.raises(StoreError, match="is no file; accepted: a path for the database"):
        Store(tmp_path, Sealer(KEY))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_secret_is_made_once_for_each_gateway_and_purpose(tmp_path: Path) -> None:
    made = iter([b"first", b"second", b"third"])
    path = tmp_path / "p4esp.db"
    store = Store(path, Sealer(KEY))
    assert store.secret("left", "tokens", lambda: next(made)) == b"first"
    assert store.secret("right", "tokens", lambda: next(made)) == b"second"
    store.close()
    assert b"first" not in path.read_bytes()
    again = Store(path, Sealer(KEY))
    assert again.secret("left", "tokens", lambda: next(made)) == b"first"
    again.close()
    other = Store(path, Sealer(bytes(32)))
    with pytest.raises(StoreError, match="do not open"):
        other.secret("left", "tokens", lambda: next(made))
    other.close()


def test_a_store_from_before_there_were_secrets_gets_a_place_for_them(tmp_path: Path) -> None:
    path = tmp_path / "p4esp.db"
    store = Store(path, Sealer(KEY))
    store._db.execute("DROP TABLE secret")
    store.close()
    again = Store(path, Sealer(KEY))
    assert again.secret("left", "tokens", lambda: b"x") == b"x"
    again.close()
