"""The store of postquantum preshared keys: sealed at rest, shared by processes, each key once."""

import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from p4esp.ike.ppk import FIXED, OPAQUE, PostquantumKey
from p4esp.store.ppks import PeerPpks, PpkStore
from p4esp.store.sealing import Sealer, StoreError

SEAL = bytes(range(32))
SECRET = bytes(range(0x40, 0x60))
Open = Callable[[], PpkStore]


def fixed(name: str, secret: bytes = SECRET) -> PostquantumKey:
    return PostquantumKey(bytes([FIXED]) + name.encode(), secret)


def once(name: str, secret: bytes = SECRET) -> PostquantumKey:
    return PostquantumKey(bytes([OPAQUE]) + name.encode(), secret)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ppk.db"


@pytest.fixture
def again(path: Path) -> Open:
    """Opens the same file once more, as another process does."""
    return lambda: PpkStore(path, Sealer(SEAL))


def keys_of(again: Open, peer: str = "east") -> PeerPpks:
    return PeerPpks(peer, again)


def files_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_keys_come_back_for_their_peer_alone(again: Open) -> None:
    again().add("east", [fixed("a"), once("b")])
    keys = keys_of(again)
    assert keys.any()
    assert keys.find(b"\x02a") == fixed("a")
    assert keys.find(b"\x01a") is None
    assert not keys_of(again, "west").any()
    assert keys_of(again, "west").find(b"\x02a") is None


def test_nothing_of_a_key_is_on_disk_in_clear(again: Open, path: Path) -> None:
    again().add("east", [fixed("a"), once("b")])
    seen = files_of(path)
    assert SECRET not in seen
    assert SECRET.hex().encode() not in seen
    assert b"east" in seen
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_others_could_read_is_theirs_no_longer(path: Path, again: Open) -> None:
    path.touch(mode=0o644)
    again()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_key_of_one_use_is_offered_the_oldest_then_the_others_latest_first(
    again: Open,
) -> None:
    again().add("east", [fixed("old"), once("1"), fixed("new"), once("2")])
    keys = keys_of(again)
    assert list(keys.offer()) == [once("1"), fixed("new"), fixed("old")]
    assert list(keys.offer()) == [once("2"), fixed("new"), fixed("old")]
    assert list(keys.offer()) == [fixed("new"), fixed("old")]


def test_a_used_key_is_gone_for_every_process_before_it_is_given_out(
    again: Open, path: Path
) -> None:
    again().add("east", [once("a")])
    first, second = keys_of(again), keys_of(again)
    assert second.any()
    assert list(first.offer()) == [once("a")]
    (sealed,) = sqlite3.connect(path).execute("SELECT sealed_key FROM ppk").fetchone()
    assert sealed is None
    for keys in (first, second, keys_of(again)):
        assert not keys.any()
        assert keys.find(b"\x01a") is None
        assert not keys.claim(once("a"))


def test_of_two_who_claim_a_key_at_once_one_gets_it(again: Open) -> None:
    again().add("east", [once("a")])
    both = keys_of(again), keys_of(again)
    found = [keys.find(b"\x01a") for keys in both]
    assert found == [once("a"), once("a")]
    assert sorted(keys.claim(once("a")) for keys in both) == [False, True]


def test_a_key_that_stays_the_same_may_be_claimed_while_it_is_there(again: Open) -> None:
    store = again()
    store.add("east", [fixed("a")])
    keys = keys_of(again)
    assert keys.claim(fixed("a"))
    assert keys.claim(fixed("a"))
    assert store.remove("east", b"\x02a")
    assert not keys.claim(fixed("a"))


def test_a_name_is_never_used_twice_even_after_its_key_has_been(again: Open) -> None:
    store = again()
    store.add("east", [once("a")])
    keys_of(again).offer()
    with pytest.raises(StoreError, match="east has, or had, opaque:a; accepted: another name"):
        store.add("east", [once("b"), once("a")])
    assert [key.identity for key in store.listed()] == [b"\x01a"]
    store.add("west", [once("a")])


def test_what_another_process_adds_or_removes_is_seen(again: Open) -> None:
    other, keys = again(), keys_of(again)
    assert not keys.any()
    other.add("east", [fixed("a")])
    assert keys.any()
    assert other.remove("east", b"\x02a")
    assert not keys.any()
    assert not other.remove("east", b"\x02a")


@pytest.mark.parametrize("size", [0, 31, 4097])
def test_a_key_of_the_wrong_size_is_refused_and_not_shown(again: Open, size: int) -> None:
    store = again()
    with pytest.raises(StoreError, match=f"fixed:a: {size} octets; .* 32..4096") as caught:
        store.add("east", [fixed("b"), fixed("a", b"\xab" * size)])
    assert "abab" not in str(caught.value)
    assert store.listed() == []


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_a_name_of_the_wrong_size_is_refused(again: Open, name: str) -> None:
    with pytest.raises(StoreError, match=r"a name of 1\.\.255 octets"):
        again().add("east", [fixed(name)])


def test_another_sealing_key_opens_nothing(again: Open, path: Path) -> None:
    again().add("east", [fixed("a")])
    keys = PeerPpks("east", lambda: PpkStore(path, Sealer(bytes(32))))
    with pytest.raises(LookupError, match="do not open"):
        keys.offer()


def test_a_seal_that_is_moved_to_another_name_does_not_open(again: Open, path: Path) -> None:
    again().add("east", [fixed("a")])
    with sqlite3.connect(path) as db:
        db.execute("UPDATE ppk SET identity=x'0262'")
    with pytest.raises(LookupError, match="do not open"):
        keys_of(again).find(b"\x02b")


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" * 40])
def test_a_file_that_is_no_store_is_refused(path: Path, again: Open, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"ppk\.db"):
        again()
    with pytest.raises(LookupError, match=r"ppk\.db"):
        keys_of(again).any()


def test_a_store_of_another_version_is_refused(path: Path, again: Open) -> None:
    again().close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=7")
    with pytest.raises(StoreError, match="no store of PPKs of version 1, but of 7"):
        again()


def test_a_writer_in_the_way_is_waited_for_and_then_reported(path: Path, again: Open) -> None:
    again().add("east", [once("a")])
    keys = PeerPpks("east", lambda: PpkStore(path, Sealer(SEAL), patience=0.01))
    assert keys.any()
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(LookupError, match="locked"):
            keys.offer()
        db.execute("ROLLBACK")
    assert list(keys.offer()) == [once("a")]
