"""Makes the repository's `bench` package importable; it is not part of the installed p4esp."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
if str(REPOSITORY) not in sys.path:
    sys.path.append(str(REPOSITORY))
