"""The image has what the Dockerfile says, no other versions than the tests, and is small."""

import re
from importlib.metadata import distribution
from pathlib import Path

from lab.dockerfile import Dockerfile

REPOSITORY = Path(__file__).parents[3]
MEGABYTE = 1_000_000
BASE = 135
"""Of python:3.11-slim, generously; it cannot be had where no registry of images is."""
SYSTEM_PACKAGES = 10
"""What apt-get adds."""
LIMIT = 300


def locked(name: str) -> dict[tuple[str, str], set[str]]:
    """The hashes of each (name, version) of a lock file."""
    found: dict[tuple[str, str], set[str]] = {}
    text = (REPOSITORY / name).read_text().replace("\\\n", " ")
    for package, version, rest in re.findall(r"^([\w-]+)==(\S+)(.*)$", text, re.MULTILINE):
        found[package, version] = set(re.findall(r"--hash=(\S+)", rest))
    return found


def test_the_image_has_the_versions_that_are_tested() -> None:
    tested, image = locked("requirements.lock"), locked("requirements-runtime.lock")
    assert len(image) > 10
    assert {key: tested.get(key) for key in image} == image


def test_the_image_has_no_test_tools() -> None:
    names = {name for name, _ in locked("requirements-runtime.lock")}
    assert names.isdisjoint({"pytest", "hypothesis", "mypy", "ruff", "scapy", "pyyaml"})


def size_of(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(item.stat().st_size for item in files if item.is_file())


def with_compiled(file: Path) -> int:
    """The octets of a file and of what Python makes of it, which is about as large again."""
    if file.suffix == ".pyc" or not file.is_file():
        return 0
    return file.stat().st_size * (2 if file.suffix == ".py" else 1)


def packages_size() -> int:
    """Of what the lock file brings; the build's own tool is taken away again."""
    names = {name for name, _ in locked("requirements-runtime.lock")} - {"setuptools"}
    files = (file for name in names for file in distribution(name).files or ())
    return sum(with_compiled(Path(str(file.locate()))) for file in files)


def test_the_image_is_below_its_limit() -> None:
    copied = Dockerfile.read(REPOSITORY / "Dockerfile").copied
    ours = sum(size_of(REPOSITORY / source) for source in copied)
    added = (packages_size() + ours) / MEGABYTE
    assert 30 < added < LIMIT - BASE - SYSTEM_PACKAGES


def test_the_dockerfile_is_read_with_its_continued_lines() -> None:
    file = Dockerfile(
        "FROM base:1 AS one\nRUN useradd --uid 7 --no-create-home \\\n    # a remark\n    them\n"
        'COPY --from=one /a /b\nCOPY c d /e/\nENV PATH=/x:$PATH A=1\nCMD ["them"]\n'
    )
    assert file.images == ["base:1"]
    assert file.copied == ["c", "d"]
    assert file.environment == {"A": "1"}
    assert file.user_ids == {"them": 7}
