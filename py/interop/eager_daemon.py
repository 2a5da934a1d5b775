"""Our daemon, but it takes every peer for one that has sent our vendor ID: to see what others make
of numbers that they cannot know.
"""

from p4esp.cli.main import main
from p4esp.ike.announced import Announced

Announced.experimental = property(lambda self: self.own_experimental)  # type: ignore[assignment, method-assign]

if __name__ == "__main__":
    main()
