"""The conformance kit passes our engine, in every place it can run, and fails broken ones."""

import asyncio
import itertools
import json
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import typer
from typer.testing import CliRunner

from p4esp.cli import engine_cmd
from p4esp.engine import CryptoFrame, Descriptor, Direction, Engine, KeySpec, LocalKeys, Status
from p4esp.engine import ciphers as ciphers_module
from p4esp.engine import replies as replies_module
from p4esp.engine import steps as steps_module
from p4esp.engine.attach import Attachment, Backoff
from p4esp.engine.check import probe as probe_module
from p4esp.engine.check.probe import LocalProbe, RemoteProbe, dataplane_probe
from p4esp.engine.check.requests import seal_request
from p4esp.engine.check.runner import run_cases
from p4esp.engine.check.transform_cases import CBC, NULL
from p4esp.engine.ciphers import EncryptThenMac, Gmac
from p4esp.engine.client import EngineClient
from p4esp.engine.dataplane_port import dataplane_port
from p4esp.engine.errors import AttachmentError, EngineUnavailableError, KeyStoreError
from p4esp.engine.guard import NonceGuard
from p4esp.engine.keyservice import EngineHealth
from p4esp.engine.process import run_engine
from p4esp.engine.trailer import trailer_fault

Answer = Callable[[bytes], bytes | None]


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def failures(engine: Engine, answer: Answer | None = None) -> set[str]:
    results = await run_cases(LocalKeys(engine), LocalProbe(answer or engine.process))
    return {result.name for result in results if not result.passed}


async def test_our_engine_passes_twice_in_one_life() -> None:
    engine = Engine()
    assert await failures(engine) == set()
    assert await failures(engine) == set()
    assert engine.key_count == 0


# --- engines that must fail ----------------------------------------------------------------


async def test_engine_that_echoes_fails_everywhere() -> None:
    engine = Engine()
    names = await failures(engine, lambda frame: frame)
    assert {"open.D1", "seal.D1", "seal.sizes", "frame.silence", "handle.unknown"} <= names


async def test_loopback_that_answers_done_fails() -> None:
    def done(frame: bytes) -> bytes:
        return frame[:14] + bytes((frame[14] | 0x80, frame[15], 0)) + frame[17:]

    names = await failures(Engine(), done)
    assert {"open.D1", "seal.sizes", "open.tampered", "nonce.duplicate"} <= names


async def test_silent_engine_fails() -> None:
    assert "seal.sizes" in await failures(Engine(), lambda _: None)


async def test_engine_that_repeats_nonces_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NonceGuard, "take", lambda *_: True)
    names = await failures(Engine())
    expected = {"duplicate", "packet", "reinstalled", "reordered", "lost"}
    expected |= {"shown", "subspaces"}
    others = {"stats.counters", "subs.derived"}
    assert names == {f"nonce.{name}" for name in expected} | others


async def test_engine_that_guards_the_sequence_number_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine()
    sealed: set[tuple[int, int, bytes]] = set()
    monkeypatch.setattr(NonceGuard, "take", lambda *_: True)

    def answer(frame: bytes) -> bytes | None:
        if len(frame) >= 46 and frame[14] == 1:
            number = (int.from_bytes(frame[18:22]), int.from_bytes(frame[22:30]), frame[34:37])
            if number in sealed:
                return core_error(frame, Status.NONCE_REFUSED)
            sealed.add(number)
        return engine.process(frame)

    names = await failures(engine, answer)
    assert {"nonce.packet", "nonce.reinstalled"} <= names


def core_error(frame: bytes, status: Status) -> bytes:
    return frame[:14] + bytes((frame[14] | 0x80, frame[15], status)) + frame[17 : 46 + frame[41]]


async def test_engine_that_pads_with_zeros_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = tuple(bytes(n) + bytes((n,)) for n in range(256))
    monkeypatch.setattr(replies_module, "TAIL", zeros)
    names = await failures(Engine())
    assert "seal.sizes" in names
    assert not any(name.startswith("open.") for name in names)


def spoil(change: Callable[[CryptoFrame, CryptoFrame], CryptoFrame]) -> tuple[Engine, Answer]:
    """An engine whose replies are changed behind its back."""
    engine = Engine()

    def answer(frame: bytes) -> bytes | None:
        reply = engine.process(frame)
        if reply is None:
            return None
        return change(CryptoFrame.decode(frame), CryptoFrame.decode(reply)).encode()

    return engine, answer


async def test_engine_that_leaks_text_in_errors_fails() -> None:
    def leak(request: CryptoFrame, reply: CryptoFrame) -> CryptoFrame:
        failed = reply.descriptor.status != Status.DONE
        return replace(reply, packet=request.packet) if failed else reply

    names = await failures(*spoil(leak))
    assert {"handle.generation", "nonce.duplicate", "descriptor.seal", "open.N1"} <= names


@pytest.mark.parametrize(
    ("field", "value", "case"),
    [
        ("nh", 0, "open.D1"),
        ("pad", 0, "seal.sizes"),
        ("plain_len", 1, "open.D1"),
        ("sa", 1, "seal.sizes"),
        ("seq", 0, "seal.sizes"),
    ],
)
async def test_engine_that_spoils_a_reply_field_fails(field: str, value: int, case: str) -> None:
    def change(_: CryptoFrame, reply: CryptoFrame) -> CryptoFrame:
        changed: Descriptor = replace(reply.descriptor, **{field: value})
        return replace(reply, descriptor=changed)

    assert case in await failures(*spoil(change))


async def test_engine_that_ignores_generations_fails() -> None:
    engine = Engine()

    def answer(frame: bytes) -> bytes | None:
        return engine.process(frame[:33] + b"\0" + frame[34:] if len(frame) >= 46 else frame)

    assert "handle.generation" in await failures(engine, answer)


async def test_engine_whose_cbc_ivs_count_fails() -> None:
    numbers = itertools.count(1)
    engine = Engine(random_bytes=lambda count: next(numbers).to_bytes(count) if count else b"")
    assert await failures(engine) == {"cbc.iv"}


async def test_engine_that_keeps_the_requests_iv_with_cbc_fails() -> None:
    assert {"cbc.iv"} <= await failures(Engine(random_bytes=bytes))


@pytest.mark.parametrize(
    ("where", "attribute", "broken", "cases"),
    [
        (
            Gmac,
            "_covered",
            staticmethod(lambda _, text, associated: associated + text),
            {"open.D6a", "open.D6b", "transform.AES-GMAC-256"},
        ),
        (
            ciphers_module,
            "_in_wire_order",
            lambda associated, text: associated + text,
            {"open.D7b", f"transform.{CBC}", f"transform.{NULL}"},
        ),
        (steps_module, "with_udp_checksum", lambda frame, *_: frame, {"udp.checksum"}),
        (steps_module, "udp_length", lambda frame, at: frame[at + 5], {"udp.checksum"}),
        (steps_module, "_filled", lambda _, seal: seal, {"fill.zeros", "udp.checksum"}),
        (steps_module, "_in_whole_blocks", lambda *_: _[-1], {"cbc.blocks"}),
    ],
)
async def test_engine_with_one_rule_left_out_fails_the_case_of_that_rule(
    monkeypatch: pytest.MonkeyPatch, where: Any, attribute: str, broken: Any, cases: set[str]
) -> None:
    monkeypatch.setattr(where, attribute, broken)
    names = await failures(Engine())
    assert cases <= names
    assert not names & {"open.D1", "seal.D1", "seal.sizes", "stats.counters"}


async def test_engine_that_clears_the_mode_fails() -> None:
    def clear(_: CryptoFrame, reply: CryptoFrame) -> CryptoFrame:
        return replace(
            reply, descriptor=replace(reply.descriptor, flags=reply.descriptor.flags & 15)
        )

    assert await failures(*spoil(clear)) >= {"flags.mode"}


async def test_engine_that_tells_a_bad_padding_from_a_bad_icv_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It does not look at the ICV when the padding is wrong: an oracle."""
    honest = EncryptThenMac.decrypt

    def decrypt(self: EncryptThenMac, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        plain = self._cipher.decrypt(bytes(nonce[: self._iv_len]), data[: -self._mac.icv_len])
        return plain if trailer_fault(plain) else honest(self, nonce, data, associated)

    monkeypatch.setattr(EncryptThenMac, "decrypt", decrypt)
    assert "tampered.D7a" in await failures(Engine())


class Modest(LocalKeys):
    """The keys of an engine that has little."""

    async def health(self) -> EngineHealth:
        return replace(
            await super().health(), transforms=("AES-GCM-16-128", "NULL-HMAC-SHA2-256-128")
        )


async def test_what_an_engine_does_not_offer_is_left_out_and_said_to_be() -> None:
    engine = Engine()
    results = {r.name: r for r in await run_cases(Modest(engine), LocalProbe(engine.process))}
    left_out = {name for name, result in results.items() if result.left_out}
    assert {"open.C1", "open.D7a", "cbc.iv", "transform.AES-GMAC-128"} <= left_out
    assert {"open.D1", "open.D8", "seal.sizes", "fill.zeros", "null.numbers"}.isdisjoint(left_out)
    assert results["cbc.iv"].detail == f"the engine does not offer {CBC}"
    assert not any(result.failed for result in results.values())
    assert all(result.passed != result.left_out for result in results.values())


async def test_engine_without_the_one_transform_that_all_have_fails() -> None:
    results = await run_cases(Refusing(Engine()), LocalProbe(Engine().process))
    assert {"open.D1", "seal.sizes"} <= {result.name for result in results if result.failed}


class Refusing(LocalKeys):
    """The keys of an engine that has nothing."""

    async def health(self) -> EngineHealth:
        return replace(await super().health(), transforms=())

    async def install(self, spec: KeySpec) -> int:
        raise KeyStoreError(f"unknown transform {spec.transform}")


# --- over a medium -------------------------------------------------------------------------


async def test_remote_probe_sorts_out_lost_late_and_unasked_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe_module, "PATIENCE", 0.05)
    monkeypatch.setattr(probe_module, "GRACE", 0.01)
    engine = Engine()

    def medium(frame: bytes) -> None:
        if (reply := engine.process(frame)) is not None:
            probe.deliver(reply)

    probe = RemoteProbe(medium)
    probe.deliver(b"left over")
    answered, ignored = seal_request(1, 5, b"").encode(), b"\0" * 60
    assert len(await probe.exchange([answered, ignored], 1)) == 1
    assert await probe.exchange([ignored], 1) == []
    assert await probe.exchange([ignored], 0) == []


async def test_engine_process_over_dataplane_grpc_passes(tmp_path: Path) -> None:
    address, path = free_address(), tmp_path / "keys.sock"
    connect = lambda: dataplane_port(address, 1, 509)  # noqa: E731
    task = asyncio.create_task(run_engine(path, "test", connect))
    while not path.exists():
        await asyncio.sleep(0.01)
    try:
        results = await engine_cmd.check_engine(str(path), address, 509, None)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert [result for result in results if not result.passed] == []
    assert not path.exists()


async def test_engine_keeps_its_keys_when_the_switch_restarts(tmp_path: Path) -> None:
    engine, address = Engine(), free_address()
    handle = engine.install(KeySpec(Direction.SEAL, "AES-GCM-16-128", bytes(16), b"salt"))
    connect = lambda: dataplane_port(address, 1, 509)  # noqa: E731
    link = Attachment("test", connect, engine.process, Backoff(0.05, 0.1))
    task = asyncio.create_task(link.run())
    try:
        for seq in (1, 2):
            async with dataplane_probe(address, 509) as probe:
                request = seal_request(handle, seq, b"payload").encode()
                (reply,) = await probe.exchange([request], 1)
                assert reply[16] == Status.DONE
                assert link.state() == (True, "test")
            async with asyncio.timeout(5):
                while link.state()[0]:
                    await asyncio.sleep(0.01)
    finally:
        task.cancel()


async def test_engine_that_never_connects_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "CONNECT_SECONDS", 0.05)
    with pytest.raises(AttachmentError, match="no engine connected"):
        async with dataplane_probe(free_address(), 509):
            pass


async def test_address_in_use_is_named() -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    with pytest.raises(AttachmentError, match="cannot serve"):
        async with dataplane_probe(address, 509):
            pass
    await server.stop(None)


# --- command line --------------------------------------------------------------------------

app = typer.Typer()
app.command("engine")(engine_cmd.engine_command)
app.command("engine-check")(engine_cmd.engine_check_command)


def test_check_of_our_own_engine_prints_a_table_and_succeeds() -> None:
    result = CliRunner().invoke(app, ["engine-check", "self"])
    assert result.exit_code == 0
    assert "passed" in result.output


def test_check_as_json_lists_every_case() -> None:
    result = CliRunner().invoke(app, ["engine-check", "self", "--json"])
    cases = json.loads(result.stdout)
    assert len(cases) > 50
    assert all(case["passed"] for case in cases)


def test_check_of_a_broken_engine_has_exit_status_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NonceGuard, "take", lambda *_: True)
    result = CliRunner().invoke(app, ["engine-check", "self"])
    assert result.exit_code == 1
    assert "FAIL" in result.output


def test_check_of_an_engine_that_is_gone_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["engine-check", str(tmp_path / "gone.sock")])
    assert (result.exit_code, "did not answer GetHealth" in result.output) == (2, True)


def test_engine_needs_one_crypto_port(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["engine", "--socket", str(tmp_path / "s")])
    assert result.exit_code == 2
    assert "--dp-grpc" in result.output


def test_engine_refuses_a_path_that_is_no_socket(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")
    arguments = ["engine", "--socket", str(tmp_path / "s"), "--dp-grpc", "127.0.0.1:1"]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, "is no socket" in result.output) == (2, True)


async def test_engine_process_reports_its_port_and_ends_on_sigterm(tmp_path: Path) -> None:
    path = tmp_path / "keys.sock"
    program = "import typer; from p4esp.cli.engine_cmd import engine_command as e; typer.run(e)"
    arguments = ["--socket", str(path), "--dp-grpc", "127.0.0.1:1"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *arguments), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20), EngineClient(path) as client:
            health = await first_health(client, path)
        assert (health.ready, "127.0.0.1:1 port 509" in health.detail) == (False, True)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
    assert not path.exists()


async def test_engine_inside_a_switch_is_ready_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.sock"
    program = "import typer; from p4esp.cli.switch_cmd import switch_command as s; typer.run(s)"
    arguments = ["--engine", str(path), "--grpc-server-addr", "127.0.0.1:0"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *arguments), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20), EngineClient(path) as client:
            assert (await first_health(client, path)).ready
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
    assert not path.exists()


async def first_health(client: EngineClient, path: Path) -> EngineHealth:
    while True:
        with suppress(EngineUnavailableError):
            if path.exists():
                return await client.health()
        await asyncio.sleep(0.05)
