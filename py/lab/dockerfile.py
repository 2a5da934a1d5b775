"""What the Dockerfile says, as far as the lab stands for its image or a check can look at it."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_STAGE_SOURCE = "--from="


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction with its arguments."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The arguments, in either form."""
        return json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)


class Dockerfile:
    """A Dockerfile without parser directives, here-documents and escapes other than line ends."""

    def __init__(self, text: str) -> None:
        lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
        joined = re.sub(r"\\\n", " ", "\n".join(lines))
        split = (line.split(None, 1) for line in joined.splitlines() if line.strip())
        self.instructions = [Instruction(name.upper(), rest.strip()) for name, rest in split]

    @classmethod
    def read(cls, path: Path) -> "Dockerfile":
        """From a file."""
        return cls(path.read_text())

    def named(self, name: str) -> Iterator[list[str]]:
        """The arguments of each instruction of a name, in order."""
        return (item.words for item in self.instructions if item.name == name)

    @property
    def copied(self) -> list[str]:
        """What is copied from the repository."""
        copies = (words for words in self.named("COPY") if not words[0].startswith(_STAGE_SOURCE))
        return [source for words in copies for source in words[:-1]]

    @property
    def images(self) -> list[str]:
        """What the stages are made of."""
        return [words[0] for words in self.named("FROM")]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that are set, without PATH: programs are elsewhere in the lab."""
        pairs = (pair.partition("=") for words in self.named("ENV") for pair in words)
        return {name: value for name, _, value in pairs if name != "PATH"}

    @property
    def user_ids(self) -> dict[str, int]:
        """The users that are made, by name."""
        text = "\n".join(item.text for item in self.instructions if item.name == "RUN")
        return {name: int(uid) for uid, name in re.findall(r"useradd --uid (\d+).* (\w+)\b", text)}
