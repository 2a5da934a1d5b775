"""The operator guide is held against the program: keys, drop reasons, example, commands."""

import asyncio
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bmv2_process import SKIP_REASON, find_bmv2

from p4esp.cli.main import COMMANDS
from p4esp.controller.config import ControllerConfig
from p4esp.controller.metrics import ControllerCollector
from p4esp.daemon.config import DaemonConfig
from p4esp.ike.keywords import KEYWORDS

REPOSITORY = Path(__file__).parents[3]
EXAMPLE = REPOSITORY / "examples" / "gateway.toml"
GUIDE = (REPOSITORY / "docs" / "operator-guide.md").read_text()
P4ESP = (sys.executable, "-c", "from p4esp.cli.main import main; main()")


def rows_below(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its two head lines."""
    text = GUIDE.split(f"\n{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table is not None
    lines = table.group().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def label(schema: dict[str, Any]) -> str:
    """The type of a key in words."""
    if "anyOf" in schema:
        labels = [label(item) for item in schema["anyOf"] if item["type"] != "null"]
        return " or ".join(dict.fromkeys(labels))
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if schema["type"] == "array":
        item = label(schema["items"])
        return "list of " + (item.replace("list", "lists") if "list" in item else f"{item}s")
    return "path" if schema.get("format") == "path" else str(schema["type"])


def default(schema: dict[str, Any], required: bool) -> str:
    """What holds when the key is not there."""
    if required:
        return "required"
    value = schema.get("default")
    if value is None:
        return "unset"
    if value == []:
        return "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)


def keys_of(schema: dict[str, Any], root: dict[str, Any]) -> list[list[str]]:
    """Rows for the keys of one section; a key that holds sections has a heading of its own."""
    return [
        [
            f"`{name}`",
            label(item),
            default(item, name in schema.get("required", [])),
            item["description"],
        ]
        for name, item in schema["properties"].items()
        if "$ref" not in str(item)
    ]


SCHEMA = ControllerConfig.model_json_schema()
SECTIONS = {
    "### The file": SCHEMA,
    "### `[gateways.NAME]`": SCHEMA["$defs"]["GatewayConfig"],
    "### `[[gateways.NAME.interfaces]]`": SCHEMA["$defs"]["InterfaceConfig"],
    "### `[[gateways.NAME.routes]]`": SCHEMA["$defs"]["RouteConfig"],
    "### `[[gateways.NAME.neighbours]]`": SCHEMA["$defs"]["NeighbourConfig"],
    "### `[[gateways.NAME.labels]]`": SCHEMA["$defs"]["LabelConfig"],
    "### `[[gateways.NAME.peers]]`": SCHEMA["$defs"]["GatewayPeer"],
    "### `[gateways.NAME.peers.certificate]`": SCHEMA["$defs"]["CertificateSection"],
    "### `[gateways.NAME.peers.trust]`": SCHEMA["$defs"]["TrustSection"],
    "### `[gateways.NAME.peers.ppk]`": SCHEMA["$defs"]["PostquantumSection"],
    "### `[gateways.NAME.peers.lifetime]`": SCHEMA["$defs"]["IkeLifetime"],
    "### `[gateways.NAME.peers.extensions]`": SCHEMA["$defs"]["ExtensionSection"],
    "### `[gateways.NAME.peers.assign]`": SCHEMA["$defs"]["AssignSection"],
    "### `[[gateways.NAME.peers.assign.resolvers]]`": SCHEMA["$defs"]["ResolverSection"],
    "### `[[gateways.NAME.peers.children]]`": SCHEMA["$defs"]["GatewayChild"],
    "### `[gateways.NAME.peers.children.lifetime]`": SCHEMA["$defs"]["ChildLifetime"],
    "### `[[gateways.NAME.policies]]`": SCHEMA["$defs"]["PolicySection"],
    "### `[gateways.NAME.sa]`": SCHEMA["$defs"]["SaSection"],
    "### `[gateways.NAME.path_mtu]`": SCHEMA["$defs"]["PathMtuSection"],
}
DAEMON = DaemonConfig.model_json_schema()
DAEMON_SECTIONS = {
    "### The daemon's file": DAEMON,
    "### `[ike]`": DAEMON["$defs"]["IkeSection"],
}


def differing(section: dict[str, Any], other: dict[str, Any]) -> list[list[str]]:
    """Rows of a section of the daemon's that a gateway's does not have."""
    rows = keys_of(other, SCHEMA)
    return [row for row in keys_of(section, DAEMON) if row not in rows]


@pytest.mark.parametrize("heading", DAEMON_SECTIONS)
def test_the_guide_has_each_key_of_the_daemon(heading: str) -> None:
    rows = keys_of(DAEMON_SECTIONS[heading], DAEMON)
    wanted = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    assert rows_below(heading) == rows, f"the table should be\n{wanted}"


def test_the_guide_says_how_peers_of_the_daemon_differ_from_those_of_a_gateway() -> None:
    peers = differing(DAEMON["$defs"]["PeerSection"], SCHEMA["$defs"]["GatewayPeer"])
    children = differing(DAEMON["$defs"]["ChildSection"], SCHEMA["$defs"]["GatewayChild"])
    assert rows_below("### `[[peers]]`") == peers
    assert children == []


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_guide_has_each_key_with_type_default_and_meaning(heading: str) -> None:
    rows = keys_of(SECTIONS[heading], SCHEMA)
    wanted = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    assert rows_below(heading) == rows, f"the table should be\n{wanted}"


def test_no_section_of_the_configuration_is_without_a_table() -> None:
    assert 1 + len(SCHEMA["$defs"]) == len(SECTIONS) + len({"IkeSection"})


@pytest.mark.parametrize(
    ("heading", "enum"),
    [("## Drop reasons", "drop_t"), ("## What the controller is shown", "punt_t")],
)
def test_the_guide_explains_each_drop_reason_and_punt_of_the_pipeline(
    heading: str, enum: str
) -> None:
    source = (REPOSITORY / "p4src" / "common" / "ids.p4").read_text()
    (body,) = re.findall(rf"enum bit<8> {enum} \{{(.*?)\}}", source, re.DOTALL)
    reasons = re.findall(r"^\s*([A-Z0-9_]+)\s*=\s*(\d+)", body, re.MULTILINE)
    rows = rows_below(heading)
    assert [(name, number) for number, name, _ in rows] == [
        (f"`{name}`", number) for name, number in reasons if name != "NONE"
    ]
    assert all(meaning for *_, meaning in rows)


def test_the_guide_names_each_metric() -> None:
    names = {f"`{metric.name}`" for metric in ControllerCollector().collect()}
    assert {row[0].replace("_total", "") for row in rows_below("## Metrics")} == names


def test_the_commands_of_the_guide_exist() -> None:
    words = set(re.findall(r"^(?:sudo )?\.venv/bin/p4esp ([a-z0-9-]+)", GUIDE, re.MULTILINE))
    assert words >= {"switch", "engine", "up", "status", "counters", "sa", "trace", "dpmux"}
    assert words <= {command.name for command in COMMANDS}


def site(directory: Path, replaced: Mapping[str, str]) -> Path:
    """The example with its pre-shared key, as the guide has an operator make it."""
    text = EXAMPLE.read_text()
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    (directory / "gateway.toml").write_text(text)
    with os.fdopen(os.open(directory / "right.psk", os.O_CREAT | os.O_WRONLY, 0o600), "w") as psk:
        psk.write("a key that both gateways know\n")
    return directory / "gateway.toml"


def test_the_example_passes_the_check(tmp_path: Path) -> None:
    command = [*P4ESP, "up", "--check", str(site(tmp_path, {}))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing to object to" in done.stdout


def commands_below(heading: str, first: str) -> list[list[str]]:
    """The block of commands below a heading that starts with a certain one."""
    text = GUIDE.split(f"\n{heading}\n", 1)[1]
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    block = next(block for block in blocks if block.startswith(first))
    return [shlex.split(line) for line in block.replace("\\\n", " ").strip().splitlines()]


def p4esp_words(words: list[str]) -> list[str]:
    """What a user types, as this test runs it: without sudo, hence without Linux interfaces."""
    return [*P4ESP, *without_interfaces(words[words.index(".venv/bin/p4esp") + 1 :])]


def without_interfaces(words: list[str]) -> list[str]:
    """Linux interfaces need root."""
    while "-i" in words:
        at = words.index("-i")
        words = words[:at] + words[at + 2 :]
    return words


@asynccontextmanager
async def running(words: list[str], ready: str | None) -> AsyncIterator[None]:
    """A process of the guide, once it has said that it is ready; None: it doesn't say."""
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        while ready and ready not in (line := (await process.stdout.readline()).decode()):
            assert line, f"{words} ended before it said {ready!r}"
        yield
    finally:
        process.terminate()
        await process.communicate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Site:
    """The guide's site with addresses that are free here."""

    def __init__(self, directory: Path) -> None:
        (directory / "run").mkdir(mode=0o700)
        self.replaced = {
            "127.0.0.1:9559": f"127.0.0.1:{free_port()}",
            "/run/p4esp": str(directory / "run"),
            "9464": str(free_port()),
        }
        config = site(directory, self.replaced)
        self.replaced |= {name: f"127.0.0.1:{free_port()}" for name in PACKET_ADDRESSES}
        self.replaced |= {"gateway.toml": str(config), "p4esp.sock": f"{directory}/p4esp.sock"}

    def here(self, words: list[str]) -> list[str]:
        """A command of the guide with this site's addresses."""
        for old, new in self.replaced.items():
            words = [word.replace(old, new) for word in words]
        return words


PACKET_ADDRESSES = ("127.0.0.1:9560", "127.0.0.1:9561")


async def exit_status(words: list[str]) -> int:
    """What a command of the guide ends with."""
    process = await asyncio.create_subprocess_exec(
        *words, cwd=REPOSITORY, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


async def test_the_three_processes_of_the_guide_find_each_other(tmp_path: Path) -> None:
    here = Site(tmp_path)
    commands = commands_below("## Start", "sudo .venv/bin/p4esp switch")
    switch, engine, up = (here.here(p4esp_words(words)) for words in commands)
    probes = commands_below("## Start", ".venv/bin/p4esp ready")
    ready = [here.here(p4esp_words(words)) for words in probes]
    assert [await exit_status(words) for words in ready] == [1, 1, 1]
    async with (
        asyncio.timeout(60),
        running(switch, "ready:"),
        running(engine, "engine: keys on"),
        running(up, "left: engine up"),
    ):
        assert [await exit_status(words) for words in ready] == [0, 0, 0]
        assert (tmp_path / "p4esp.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(find_bmv2() is None, reason=SKIP_REASON)
async def test_the_processes_of_the_guide_find_each_other_around_bmv2(tmp_path: Path) -> None:
    here = Site(tmp_path)
    bmv2, *commands = commands_below("### On bmv2", "simple_switch_grpc")
    mux, engine, up = (here.here(p4esp_words(words)) for words in commands)
    thrift = ["--thrift-port", str(free_port())]
    switch = [str(find_bmv2()), *thrift, *here.here(bmv2[1:])]
    async with (
        asyncio.timeout(60),
        running(switch, None),
        running(mux, "ready:"),
        running(engine, "engine: keys on"),
        running(up, "left: engine up"),
    ):
        pass


def test_the_guide_lists_every_proposal_keyword_and_no_other() -> None:
    named = {
        word for _, cell in rows_below("## Proposals") for word in re.findall(r"`(\w+)`", cell)
    }
    words = {word for table in KEYWORDS.values() for word in table}
    assert named == {word for word in words if not re.match(r"ke\d_", word)}
