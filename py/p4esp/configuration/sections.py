"""Tables of a configuration file, and what is said when one is wrong."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails


class ConfigError(ValueError):
    """The configuration is not usable; one line for each fault."""


class Section(BaseModel):
    """A table of the file. The text under a field is what the operator guide says of the key."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


_File = TypeVar("_File", bound=Section)
_Location = tuple[int | str, ...]


def parse_file(model: type[_File], data: dict[str, Any], source: str, directory: Path) -> _File:
    """Check a file that is already in memory; `source` names it in errors.

    Relative paths in it start at `directory`.
    """
    try:
        return model.model_validate(data, context={"directory": directory})
    except ValidationError as error:
        lines = [_explain(model, source, detail) for detail in _causes(error.errors())]
        raise ConfigError("\n".join(lines)) from None


def load_file(model: type[_File], path: Path) -> _File:
    """Read a TOML file; ConfigError for whatever is wrong with it."""
    try:
        return parse_file(model, tomllib.loads(path.read_text()), str(path), path.parent)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def missing(section: type[Section], key: str) -> str:
    """What is said of a key that is not there."""
    accepted = section.model_fields[key].description or ""
    return f"is missing; accepted: {accepted.rstrip('.')}"


def require_unique(what: str, names: list[str]) -> None:
    """ValueError when a name occurs twice."""
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what} {name} occurs twice; accepted: each name once")


def _causes(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without lists that are only too short because their items were refused."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(_is_inside(place, detail["loc"]) for place in places)
    ]


def _is_inside(place: _Location, outer: _Location) -> bool:
    return len(place) > len(outer) and place[: len(outer)] == outer


def _explain(model: type[Section], source: str, detail: ErrorDetails) -> str:
    key = ".".join(str(part) for part in detail["loc"] if part != "[key]") or "(top level)"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        accepted = ", ".join(_section_at(model, detail["loc"]).model_fields)
        message = f"unknown key; accepted: {accepted}"
    elif detail["type"] == "missing":
        message = missing(_section_at(model, detail["loc"]), str(detail["loc"][-1]))
    elif isinstance(detail["input"], str | int | float) and "psk" not in key:
        message = f"{detail['input']!r}: {message}"
    return f"{source}: {key}: {message}"


def _section_at(model: type[Section], location: _Location) -> type[Section]:
    """The section that holds the key at a location."""
    section = model
    steps = iter(location[:-1])
    for step in steps:
        annotation = section.model_fields[str(step)].annotation
        inner = next(_sections_in(annotation), None)
        if inner is None:
            break
        section = inner
        if get_origin(annotation) in (dict, tuple):
            next(steps, None)  # the name in a dictionary, or the place in a list
    return section


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    """The sections that a field's type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections_in(part)
