"""A lab in plain words."""

from rich.console import Console
from rich.markup import escape

from lab.facts import Claim, Facts


class Report:
    """Prints what is done when it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def heading(self, text: str) -> None:
        """What comes next."""
        self._console.rule(f"[bold]{text}", align="left")

    def line(self, text: str) -> None:
        """A remark."""
        self._console.print(text, markup=False, highlight=False)

    def claim(self, claim: Claim) -> None:
        """What was checked."""
        mark = "[green]ok[/]" if claim.held else "[red]FAILED[/]"
        self._console.print(f"{mark}  {claim.name}: {escape(claim.detail)}", highlight=False)

    def verdict(self, facts: Facts) -> None:
        """The last line."""
        held = sum(claim.held for claim in facts.claims)
        text = f"{held} of {len(facts.claims)} claims held in {facts.seconds:.1f} s"
        self._console.print(f"[bold {'green' if facts.all_held else 'red'}]{text}[/]")
