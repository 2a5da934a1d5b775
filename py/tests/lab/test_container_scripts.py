"""The programs of the containers that can be tried without one."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bmv2_process import SKIP_REASON, find_bmv2, running_bmv2
from lab_helpers import PROGRAM

from p4esp.demo.lab import running_lab

SCRIPTS = Path(__file__).parents[3] / "docker"


async def capabilities(address: str) -> tuple[int | None, str, str]:
    """Exit status, output and errors of the probe for bmv2's image."""
    host, _, port = address.rpartition(":")
    # -S: it has to do without site-packages.
    words = (sys.executable, "-S", str(SCRIPTS / "p4runtime-capabilities"), host, port)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(20):
        out, errors = await process.communicate()
    return process.returncode, out.decode(), errors.decode()


async def test_the_probe_hears_the_version_of_our_switch() -> None:
    async with running_lab(PROGRAM) as lab:
        assert await capabilities(lab.left.address) == (0, "1.5.0\n", "")


@pytest.mark.skipif(find_bmv2() is None, reason=SKIP_REASON)
async def test_the_probe_hears_the_version_of_bmv2() -> None:
    async with running_bmv2() as bmv2:
        status, out, _ = await capabilities(bmv2.grpc_address)
    assert status == 0
    assert out.startswith("1.")


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def listener(said: bytes) -> AsyncIterator[str]:
    """Somebody who says something to whoever comes, and hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


GOAWAY = bytes.fromhex("000008 07 00 00000000 0000000000000001")
TRAILERS_ONLY = bytes.fromhex("000001 01 05 00000001 88")
"""A HEADERS frame that ends the stream: an error without a message."""


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "the switch hung up"),
        (GOAWAY, "the switch refused the request"),
        (TRAILERS_ONLY, "the switch refused the request"),
    ],
)
async def test_the_probe_takes_nothing_else_for_an_answer(said: bytes, why: str) -> None:
    async with listener(said) as address:
        status, _, errors = await capabilities(address)
    assert status == 1
    assert errors in (
        f"p4runtime-capabilities: {address}: {why}\n",
        f"p4runtime-capabilities: {address}: [Errno 104] Connection reset by peer\n",
    )


async def test_the_probe_fails_where_nobody_listens() -> None:
    status, _, errors = await capabilities("127.0.0.1:1")
    assert status == 1
    assert "Connection refused" in errors


def with_psk(key: Path) -> str:
    """What the command behind `with-psk` finds in the key file."""
    words = [str(SCRIPTS / "with-psk"), str(key), "cat", str(key)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def test_the_first_to_come_makes_the_key_and_the_others_keep_it(tmp_path: Path) -> None:
    key = tmp_path / "lab.psk"
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(with_psk, [key] * 4))
    assert found == {key.read_text()}
    assert with_psk(key) == key.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["lab.psk"]


def test_the_key_is_long_and_nobody_elses(tmp_path: Path) -> None:
    assert len(with_psk(tmp_path / "lab.psk").strip()) == 44  # 32 octets in base 64
    assert (tmp_path / "lab.psk").stat().st_mode & 0o777 == 0o600


def test_a_key_that_cannot_be_made_starts_nothing(tmp_path: Path) -> None:
    words = [str(SCRIPTS / "with-psk"), str(tmp_path / "no" / "key"), "echo", "started"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert (done.returncode != 0, done.stdout) == (True, "")
