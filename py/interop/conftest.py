"""Fixtures of the suite. A skip is a failure: whatever it needs is said before it starts."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from charon_daemon import control_plane, libipsec
from lab.isolation import require_privacy
from lab.netlab import Lab
from pairing import Pair
from programs import ADDITIONAL_KE

_NEWER = ["test_additional_key_exchanges.py", "test_newer_charon.py"]
collect_ignore = [] if ADDITIONAL_KE else _NEWER
"""Not skipped but not part of the suite: Debian's charon cannot be its peer."""


def pytest_configure() -> None:
    require_privacy("`make interop` or python py/interop/run.py")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab(request.path.stem.removeprefix("test_")[:40]) as lab:
        yield lab


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preloaded library with which charon believes in a kernel without ESP."""
    library = tmp_path_factory.mktemp("shim") / "xfrm_shim.so"
    source = Path(__file__).with_name("xfrm_shim.c")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True
    )
    return library


@pytest.fixture(scope="module")
def pair(lab: Lab, shim: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A charon that negotiates everything and carries nothing."""
    made = Pair(lab, tmp_path_factory.mktemp("pair"), control_plane(shim))
    with made.charon:
        yield made


@pytest.fixture(scope="module")
def encapsulating_pair(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A charon with ESP in user space, which pretends to be behind a NAT."""
    made = Pair(lab, tmp_path_factory.mktemp("pair"), libipsec())
    with made.charon:
        yield made
