"""Every conformance case has a test or a reason, and the page that lists them is up to date."""

import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_case_is_proved_or_left_out_with_a_reason() -> None:
    words = [sys.executable, str(REPOSITORY / "tools" / "conformance.py"), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)


def test_the_checklist_of_the_readme_names_tests_that_exist() -> None:
    text = (REPOSITORY / "README.md").read_text()
    rows = re.findall(r"^\|.*\(ptf-tests/tests/.*\|$", text, re.MULTILINE)
    assert len(rows) == 6
    for row in rows:
        for path, names in re.findall(r"\((ptf-tests/[^)]*)\)((?: `\w+`,?)*)", row):
            source = (REPOSITORY / path).read_text()
            assert all(f"class {name}(" in source for name in re.findall(r"`(\w+)`", names)), row
