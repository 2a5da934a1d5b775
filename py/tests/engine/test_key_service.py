"""The key service is one interface, in process and over a unix socket of mode 0600."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from p4esp.engine import (
    Direction,
    Engine,
    EngineUnavailableError,
    KeyService,
    KeySpec,
    KeyStoreError,
    LocalKeys,
)
from p4esp.engine.check.judge import psp_key
from p4esp.engine.check.psp_cases import KNOWN_KEYS, KNOWN_PAIR, PSP128
from p4esp.engine.check.requests import seal_request, vector_open
from p4esp.engine.check.transform_cases import NULL
from p4esp.engine.check.vectors import VECTORS
from p4esp.engine.client import EngineClient
from p4esp.engine.features import FEATURES
from p4esp.engine.keyserver import KeyServer
from p4esp.unix_socket import SocketPathError, prepare_socket_path

SPEC = KeySpec(Direction.SEAL, "AES-GCM-16-128", bytes(range(16)), b"salt", 3, 99)
ROOT = KeySpec(Direction.SEAL, "AES-GCM-16-128", bytes(range(32)), b"", subs=3, kdf="HKDF-SHA2-256")


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.sock"


@pytest_asyncio.fixture(params=["local", "socket"])
async def keys(
    request: pytest.FixtureRequest, engine: Engine, path: Path
) -> AsyncIterator[KeyService]:
    local = LocalKeys(engine, lambda: (False, "no switch"))
    if request.param == "local":
        yield local
        return
    server = KeyServer(local, path)
    await server.start()
    async with EngineClient(path) as client:
        yield client
    await server.stop()


async def test_installed_key_seals_and_is_counted(keys: KeyService, engine: Engine) -> None:
    handle = await keys.install(SPEC)
    assert engine.process(seal_request(handle, 1, b"payload", gen=3).encode())[16] == 0
    assert engine.process(seal_request(handle, 1, b"payload", gen=3).encode())[16] == 4
    stats = await keys.stats()
    (key,) = stats.keys
    assert (stats.epoch, stats.replies["DONE"], stats.nonce_refused) == (engine.epoch, 1, 1)
    assert (key.handle, key.direction, key.transform) == (handle, Direction.SEAL, SPEC.transform)
    assert (key.generation, key.sa_index, key.packets, key.octets) == (3, 99, 1, 7)


@pytest.mark.parametrize("name", ["D6a", "D7a", "D7b", "D8"])
async def test_all_parts_of_a_key_reach_the_engine(
    keys: KeyService, engine: Engine, name: str
) -> None:
    handle = await keys.install(VECTORS[name].key_spec(Direction.OPEN))
    reply = engine.process(vector_open(handle, VECTORS[name]).encode())
    assert (reply[16], reply[-33:]) == (0, VECTORS[name].payload)


async def test_removed_key_is_gone(keys: KeyService, engine: Engine) -> None:
    handle = await keys.install(SPEC)
    await keys.remove(handle)
    assert engine.process(seal_request(handle, 1, b"", gen=3).encode())[16] == 2
    with pytest.raises(KeyStoreError, match=f"no key has handle {handle}"):
        await keys.remove(handle)


async def test_remove_all_says_how_many(keys: KeyService) -> None:
    await keys.install(SPEC)
    await keys.install(SPEC)
    assert await keys.remove_all() == 2
    assert (await keys.stats()).keys == ()


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (KeySpec(Direction.OPEN, "ROT13", b"", b""), "known: .*AES-GCM-16-128"),
        (KeySpec(Direction.OPEN, "AES-GCM-16-256", b"short", b"salt"), "key of 32"),
        (KeySpec(Direction.OPEN, "AES-GCM-16-128", bytes(16), b"salt", 300), "0..255"),
        (
            KeySpec(Direction.OPEN, NULL, b"", b"", integrity_key=b"short"),
            "integrity key of 32 bytes",
        ),
        (KeySpec(Direction.OPEN, NULL, b"", b""), "integrity key of 32 bytes, not 0, 0 and 0"),
        (
            KeySpec(Direction.OPEN, "AES-GCM-16-128", bytes(16), b"salt", integrity_key=b"short"),
            "integrity key of 0",
        ),
    ],
)
async def test_refusal_names_what_is_accepted_and_shows_no_key(
    keys: KeyService, spec: KeySpec, text: str
) -> None:
    with pytest.raises(KeyStoreError, match=text) as caught:
        await keys.install(spec)
    assert "short" not in str(caught.value)


async def test_sub_keys_are_installed_removed_and_counted_together(
    keys: KeyService, engine: Engine
) -> None:
    first = await keys.install(ROOT)
    for sub in range(ROOT.subs):
        assert engine.process(seal_request(first + sub, 1, b"payload").encode())[16] == 0
    (row,) = (await keys.stats()).keys
    assert (row.handle, row.subs, row.packets, row.octets) == (first, 3, 3, 21)
    with pytest.raises(KeyStoreError, match=f"removed by {first}"):
        await keys.remove(first + 1)
    await keys.remove(first)
    assert engine.process(seal_request(first + 2, 2, b"payload").encode())[16] == 2
    assert (await keys.stats()).keys == ()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"subs": 65_537}, "65537 sub keys are outside 0..65536"),
        ({"kdf": "none"}, "have the KDF 'HKDF-SHA2-256', not 'none'"),
        ({"subs": 0}, "0 sub keys have the KDF ''"),
        ({"key": b"short"}, "root of 32 bytes, no salt"),
        ({"salt": b"salt"}, "no salt and no integrity key, not 32, 4 and 0"),
        ({"transform": NULL}, "has no sub keys"),
    ],
)
async def test_refused_root_is_named_and_not_shown(
    keys: KeyService, fields: dict[str, Any], text: str
) -> None:
    with pytest.raises(KeyStoreError, match=text) as caught:
        await keys.install(replace(ROOT, **fields))
    assert (ROOT.key.hex() in str(caught.value), "short" in str(caught.value)) == (False, False)
    assert (await keys.health()).keys == 0


async def test_key_of_an_spi_is_derived_for_the_peer(keys: KeyService, engine: Engine) -> None:
    for transform, spi in KNOWN_KEYS:
        handle = await keys.install(KeySpec(Direction.OPEN, transform, KNOWN_PAIR, b"", 3, 99))
        assert (await keys.derive(handle, spi)).hex() == KNOWN_KEYS[transform, spi]
    (row, *_) = (await keys.stats()).keys
    assert (row.transform, row.generation, row.sa_index) == (PSP128, 3, 99)


@pytest.mark.parametrize("handle", [0, 1, -1, 1 << 40])
async def test_handle_without_masters_has_no_key_to_derive(keys: KeyService, handle: int) -> None:
    ordinary = await keys.install(replace(SPEC, direction=Direction.OPEN))
    for other in (handle, ordinary):
        with pytest.raises(KeyStoreError, match=f"handle {other}"):
            await keys.derive(other, 1)


@pytest.mark.parametrize("spi", [-1, 1 << 32])
async def test_spi_has_32_bits(keys: KeyService, spi: int) -> None:
    handle = await keys.install(KeySpec(Direction.OPEN, PSP128, KNOWN_PAIR, b""))
    with pytest.raises(KeyStoreError, match=f"SPI {spi}"):
        await keys.derive(handle, spi)


async def test_master_key_is_renewed_under_its_handle(keys: KeyService) -> None:
    handle = await keys.install(KeySpec(Direction.OPEN, PSP128, KNOWN_PAIR, b""))
    spis = (1, 0x80000001)
    before = [await keys.derive(handle, spi) for spi in spis]
    await keys.renew(handle, 1, bytes(32))
    assert [await keys.derive(handle, spi) for spi in spis] == [
        before[0],
        psp_key(bytes(64), spis[1], 16),
    ]
    await keys.renew(handle, 0, bytearray(b"x" * 32))
    assert await keys.derive(handle, 1) == psp_key(b"x" * 64, 1, 16)


@pytest.mark.parametrize(
    ("half", "master"), [(2, bytes(32)), (0, b"short"), (0, KNOWN_PAIR[:32]), (1, KNOWN_PAIR[:32])]
)
async def test_master_key_is_not_renewed_with_what_is_none(
    keys: KeyService, half: int, master: bytes
) -> None:
    handle = await keys.install(KeySpec(Direction.OPEN, PSP128, KNOWN_PAIR, b""))
    with pytest.raises(KeyStoreError, match=r"half 2 is outside|has 32 bytes|must be a new one"):
        await keys.renew(handle, half, master)
    ordinary = await keys.install(replace(SPEC, direction=Direction.OPEN))
    with pytest.raises(KeyStoreError, match=f"no PSP master keys have handle {ordinary}"):
        await keys.renew(ordinary, 0, bytes(32))


@pytest.mark.parametrize("call", ["Derive", "Renew"])
async def test_engine_without_a_call_is_said_to_have_none(
    engine: Engine, path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    calls = grpc.method_handlers_generic_handler
    monkeypatch.setattr(
        *(grpc, "method_handlers_generic_handler"),
        lambda name, all_: calls(name, {n: made for n, made in all_.items() if n != call}),
    )
    server = KeyServer(LocalKeys(engine), path)
    await server.start()
    async with EngineClient(path) as client:
        with pytest.raises(KeyStoreError, match=f"has no {call}"):
            await (client.derive(1, 1) if call == "Derive" else client.renew(1, 0, bytes(32)))
    await server.stop()


async def test_health_names_the_features(keys: KeyService) -> None:
    assert (await keys.health()).features == FEATURES


async def test_health_has_epoch_readiness_and_transforms(keys: KeyService, engine: Engine) -> None:
    health = await keys.health()
    assert (health.epoch, health.ready, health.detail) == (engine.epoch, False, "no switch")
    assert "CHACHA20-POLY1305" in health.transforms


def test_every_life_has_another_epoch() -> None:
    assert Engine().epoch != Engine().epoch


# --- the socket ----------------------------------------------------------------------------


async def test_socket_is_ours_alone_and_goes_with_the_server(engine: Engine, path: Path) -> None:
    server = KeyServer(LocalKeys(engine), path)
    await server.start()
    mode = path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    await server.stop()
    assert not path.exists()


async def test_umask_is_restored(engine: Engine, path: Path) -> None:
    before = os.umask(0o022)
    os.umask(before)
    server = KeyServer(LocalKeys(engine), path)
    await server.start()
    after = os.umask(before)
    await server.stop()
    assert after == before


async def test_second_engine_does_not_take_a_served_socket(engine: Engine, path: Path) -> None:
    server = KeyServer(LocalKeys(engine), path)
    await server.start()
    with pytest.raises(SocketPathError, match="running process"):
        await KeyServer(LocalKeys(Engine()), path).start()
    async with EngineClient(path) as client:
        assert (await client.health()).epoch == engine.epoch
    await server.stop()


def test_stale_socket_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    prepare_socket_path(path)
    assert not path.exists()


def test_existing_file_is_refused_and_kept(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(SocketPathError, match="is no socket"):
        prepare_socket_path(path)
    assert path.read_text() == "mine"


def test_symbolic_link_is_refused(path: Path) -> None:
    path.symlink_to(path.parent / "elsewhere")
    with pytest.raises(SocketPathError, match="is no socket"):
        prepare_socket_path(path)


def test_directory_that_others_write_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(SocketPathError, match="writable by others"):
        prepare_socket_path(shared / "keys.sock")


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(SocketPathError, match="nowhere"):
        prepare_socket_path(tmp_path / "nowhere" / "keys.sock")


async def test_engine_that_is_gone_is_a_typed_error(path: Path) -> None:
    async with EngineClient(path, timeout=2) as client:
        with pytest.raises(EngineUnavailableError, match=r"keys\.sock did not answer GetHealth"):
            await client.health()


async def test_client_finds_the_engine_again(path: Path) -> None:
    async with EngineClient(path, timeout=5) as client:
        for _ in range(2):
            engine = Engine()
            server = KeyServer(LocalKeys(engine), path)
            await server.start()
            assert (await reach(client)) == engine.epoch
            await server.stop()


async def reach(client: EngineClient) -> str:
    async with asyncio.timeout(10):
        while True:
            try:
                return (await client.health()).epoch
            except EngineUnavailableError:
                await asyncio.sleep(0.05)
