"""docker-compose.yml as we use it: what we do not rely on is not accepted."""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

OUR_IMAGE: Final = "p4esp"
"""The one that the Dockerfile makes."""


class ComposeError(Exception):
    """The file is not as it must be; one line a fault."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def local_name(image: str) -> str:
    """An image without registry: which one is asked is the business of who runs it."""
    first, slash, _ = image.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        raise ValueError(f"{first} is a registry's host; accepted: an image's name alone")
    return image


class Healthcheck(_Section):
    """When a service counts as ready."""

    test: tuple[str, ...] = Field(min_length=2)
    interval: Annotated[str, Field(pattern=r"^\d+s$")]
    timeout: Annotated[str, Field(pattern=r"^\d+s$")]
    retries: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _is_a_command(self) -> Self:
        if self.test[0] not in ("CMD", "CMD-SHELL"):
            raise ValueError(f"{self.test[0]}; accepted: CMD and CMD-SHELL")
        return self

    @property
    def patience(self) -> int:
        """Seconds until a service counts as broken."""
        return self.retries * int(self.interval.removesuffix("s"))

    @property
    def limit(self) -> int:
        """Seconds that the probe may take."""
        return int(self.timeout.removesuffix("s"))

    @property
    def command(self) -> tuple[str, ...]:
        """What is run."""
        return self.test[1:] if self.test[0] == "CMD" else ("/bin/sh", "-c", self.test[1])


class Dependency(_Section):
    """A service that has to be ready before."""

    condition: Literal["service_healthy"]


class Attachment(_Section):
    """The address of a service on a network."""

    ipv4_address: IPv4Address


class Build(_Section):
    """Where the Dockerfile is."""

    context: Literal["."]


class Service(_Section):
    """A container: bound in what it may do, and with a probe that tells when it is ready."""

    image: Annotated[str, AfterValidator(local_name)]
    build: Build | None = None
    user: Literal["root"] | None = None
    init: bool = False
    command: tuple[str, ...] = Field(min_length=1)
    cap_drop: tuple[Literal["ALL"]]
    cap_add: tuple[Literal["NET_ADMIN", "NET_RAW", "SETGID", "SETUID"], ...] = ()
    security_opt: tuple[Literal["no-new-privileges:true"]]
    read_only: Literal[True]
    tmpfs: tuple[Literal["/tmp"], ...] = ()
    network_mode: Annotated[str, Field(pattern=r"^service:[a-z-]+$")] | None = None
    networks: dict[str, Attachment] = {}
    volumes: tuple[Annotated[str, Field(pattern=r"^[^:]+:/[^:]+(:ro)?$")], ...] = ()
    depends_on: dict[str, Dependency] = {}
    healthcheck: Healthcheck

    @model_validator(mode="after")
    def _has_one_network(self) -> Self:
        if bool(self.networks) == bool(self.network_mode):
            raise ValueError("accepted: either networks or network_mode")
        return self

    @model_validator(mode="after")
    def _is_built_if_it_is_ours(self) -> Self:
        if (self.image == OUR_IMAGE) != (self.build is not None):
            raise ValueError(f"image {self.image}; accepted: a build of {OUR_IMAGE}, of no other")
        return self

    @property
    def owner(self) -> str | None:
        """The service whose network it shares."""
        return self.network_mode.partition(":")[2] if self.network_mode else None

    @property
    def mounts(self) -> tuple[tuple[str, str], ...]:
        """(volume or path in the repository, place in the container)."""
        return tuple((text.split(":")[0], text.split(":")[1]) for text in self.volumes)

    @property
    def is_root(self) -> bool:
        """Whether it begins as root: our image has a user of its own, bmv2's has not."""
        return self.user == "root" or self.image != OUR_IMAGE

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """What is run in it: its command and its probe."""
        return self.command, self.healthcheck.command

    @property
    def needs(self) -> frozenset[str]:
        """The services that have to be there before."""
        return frozenset(self.depends_on) | frozenset({self.owner} if self.owner else ())


class Subnet(_Section):
    """The addresses of a network; `gateway` is docker's own."""

    subnet: IPv4Network
    gateway: IPv4Address


class AddressPlan(_Section):
    """Compose's `ipam`."""

    config: tuple[Subnet]


class Network(_Section):
    """A bridge of docker's."""

    ipam: AddressPlan

    @property
    def plan(self) -> Subnet:
        """Its only subnet."""
        return self.ipam.config[0]


class ComposeFile(_Section):
    """The whole file, without its `x-` sections."""

    services: dict[Annotated[str, Field(pattern=r"^[a-z-]+$")], Service]
    networks: dict[str, Network]
    volumes: dict[str, None]

    @model_validator(mode="after")
    def _names_what_is_there(self) -> Self:
        faults = [f"{name}: {text}" for name in self.services for text in self._dangling(name)]
        if faults:
            raise ValueError("; ".join(faults))
        try:
            self.order().prepare()
        except CycleError as error:
            raise ValueError(f"each waits for the other: {' '.join(error.args[1])}") from None
        return self

    def _dangling(self, name: str) -> Iterator[str]:
        service = self.services[name]
        yield from (f"no service {item}" for item in service.needs - self.services.keys())
        yield from (f"no network {item}" for item in service.networks.keys() - self.networks.keys())
        volumes = {source for source, _ in service.mounts if not source.startswith("./")}
        yield from (f"no volume {item}" for item in volumes - self.volumes.keys())

    def order(self) -> TopologicalSorter[str]:
        """The services, each behind those it needs."""
        return TopologicalSorter({name: item.needs for name, item in self.services.items()})


def load_compose(path: Path) -> ComposeFile:
    """Read and check a file; ComposeError says what is wrong."""
    try:
        data = yaml.load(path.read_text(), Loader=_StrictLoader)
        return ComposeFile.model_validate(_without_extensions(data))
    except yaml.YAMLError as error:
        raise ComposeError(f"{path.name}: {error}") from None
    except ValidationError as error:
        lines = [f"{path.name}: {_place(item['loc'])}{item['msg']}" for item in error.errors()]
        raise ComposeError("\n".join(lines)) from None


def _without_extensions(data: Any) -> Any:
    if not isinstance(data, Mapping):
        return data
    return {key: value for key, value in data.items() if not str(key).startswith("x-")}


def _place(location: tuple[int | str, ...]) -> str:
    return f"{'.'.join(map(str, location))}: " if location else ""


class _StrictLoader(yaml.SafeLoader):
    """YAML allows no key twice; PyYAML takes the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = {key for key in own if own.count(key) > 1}
        if twice:
            raise yaml.YAMLError(f"{node.start_mark}: {', '.join(sorted(twice))} stands twice")
        return super().construct_mapping(node, deep)
