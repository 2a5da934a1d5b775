"""Every conformance case has a test or a reason, and the page that lists them is up to date."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_case_is_proved_or_left_out_with_a_reason() -> None:
    words = [sys.executable, str(REPOSITORY / "tools" / "conformance.py"), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)
