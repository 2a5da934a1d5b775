"""What both ends of a control socket know."""

from typing import Final

WATCH: Final = "watch"
"""The command after whose answer events follow."""
