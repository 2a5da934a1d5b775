"""TOML from dictionaries: enough for configuration files (the standard library only reads it)."""

import json
from collections.abc import Mapping
from typing import Any


def toml_text(table: Mapping[str, Any], path: str = "") -> str:
    """A document; dictionaries become tables, lists of dictionaries arrays of tables."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not _nested(value)]
    for key, value in table.items():
        where = f"{path}.{key}".removeprefix(".")
        if isinstance(value, Mapping):
            lines += [f"[{where}]", toml_text(value, where)]
        elif _nested(value):
            lines += [line for item in value for line in (f"[[{where}]]", toml_text(item, where))]
    return "\n".join(lines)


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)
    )
