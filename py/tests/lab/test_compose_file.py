"""A compose file that asks for more than it needs, or for what is not there, is not accepted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.compose_file import ComposeError, load_compose

REPOSITORY = Path(__file__).parents[3]
FILE = REPOSITORY / "docker-compose.yml"
Change = Callable[[dict[str, Any]], object]


def changed(directory: Path, change: Change) -> Path:
    """The repository's file with a change to it."""
    data = yaml.safe_load(FILE.read_text())
    change(data)
    path = directory / "docker-compose.yml"
    path.write_text(yaml.safe_dump(data))
    return path


def fault(path: Path) -> str:
    """What is said about a file."""
    with pytest.raises(ComposeError) as caught:
        load_compose(path)
    return str(caught.value)


def put(service: str, key: str, value: Any) -> Change:
    def change(data: dict[str, Any]) -> None:
        data["services"][service][key] = value

    return change


def drop(service: str, key: str) -> Change:
    return lambda data: data["services"][service].pop(key)


def test_each_site_has_a_switch_an_engine_a_controller_and_a_host() -> None:
    services = load_compose(FILE).services
    parts = ("ports", "switch", "engine", "controller", "host")
    assert services.keys() == {f"{site}-{part}" for site in ("left", "right") for part in parts}
    assert all(
        service.image == "p4lang/behavioral-model:latest"
        for name, service in services.items()
        if name.endswith("-switch")
    )


def test_each_service_starts_behind_those_it_needs() -> None:
    compose = load_compose(FILE)
    order = list(compose.order().static_order())
    assert order.index("left-ports") < order.index("left-switch") < order.index("left-controller")
    assert order.index("left-engine") < order.index("left-controller") < order.index("left-host")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("left-switch", "privileged", True), "services.left-switch.privileged: Extra inputs"),
        (put("left-switch", "cap_add", ["SYS_ADMIN"]), "services.left-switch.cap_add.0"),
        (drop("left-switch", "cap_drop"), "services.left-switch.cap_drop: Field required"),
        (put("left-switch", "network_mode", "host"), "services.left-switch.network_mode"),
        (put("left-host", "read_only", False), "services.left-host.read_only"),
        (put("left-host", "security_opt", ["seccomp:unconfined"]), "left-host.security_opt.0"),
        (drop("left-engine", "healthcheck"), "services.left-engine.healthcheck: Field required"),
        (put("left-host", "network_mode", "service:left-ports"), "either networks or network_mode"),
        (put("left-host", "image", "registry.example/p4esp"), "registry.example is a registry"),
        (drop("left-host", "build"), "accepted: a build of p4esp"),
        (
            put("left-host", "depends_on", {"left-engine": {"condition": "service_started"}}),
            "services.left-host.depends_on.left-engine.condition",
        ),
        (
            put("left-host", "depends_on", {"middle": {"condition": "service_healthy"}}),
            "left-host: no service middle",
        ),
        (
            put("left-ports", "depends_on", {"left-host": {"condition": "service_healthy"}}),
            "each waits for the other",
        ),
        (put("left-engine", "volumes", ["gone:/run/p4esp"]), "left-engine: no volume gone"),
        (lambda data: data["networks"].pop("wan"), "left-ports: no network wan"),
    ],
)
def test_what_is_not_accepted_is_named(tmp_path: Path, change: Change, said: str) -> None:
    assert said in fault(changed(tmp_path, change))


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "docker-compose.yml"
    path.write_text(FILE.read_text() + "\nvolumes: {}\n")
    assert "volumes stands twice" in fault(path)


def test_text_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "docker-compose.yml"
    path.write_text("services: [")
    assert fault(path).startswith("docker-compose.yml: ")


def test_a_probe_through_the_shell_is_run_by_it() -> None:
    probe = load_compose(FILE).services["left-host"].healthcheck
    assert probe.command[:2] == ("/bin/sh", "-c")
    assert probe.patience == 60
