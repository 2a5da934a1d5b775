"""A skip is a failure unless its reason is on the list in this directory; a slow example is not."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("any machine")
"""A busy machine is slow, which is no failure: hanging tests end by faulthandler_timeout. What CI
draws is the same in each run, so that a change is judged by itself and not by the draw.
"""

ALLOWED = {
    line
    for line in (Path(__file__).parent / "allowed_skips.txt").read_text().splitlines()
    if line and not line.startswith("#")
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason not in ALLOWED:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: skipped for a reason that is not listed: {reason}"
    return report
