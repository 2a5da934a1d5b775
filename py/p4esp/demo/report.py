"""The demonstration in plain words."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from p4esp.demo.facts import Facts
from p4esp.demo.wireshark import command

SHOWN_TRACE = 60


class Report:
    """Prints each step when it is done."""

    def __init__(self, console: Console, directory: Path) -> None:
        self._console = console
        self._directory = directory
        self._checks = 0

    def intro(self) -> None:
        """What is going to happen."""
        self._console.print(
            "[bold]Two sites, two P4 switches, one controller.[/]\n"
            "10.1.0.10 - (left 192.0.2.1) == wire == (right 192.0.2.2) - 10.2.0.10\n"
            "Each switch runs esp_gateway.p4; keys are negotiated by IKEv2 through packet-in and\n"
            "packet-out, written over P4Runtime, and used by a crypto engine on port 509.\n"
        )

    def step(self, name: str, facts: Facts) -> None:
        """Print one step and the claims it made."""
        {
            "ike": self._ike,
            "entries": self._entries,
            "trace": self._trace,
            "traffic": self._traffic,
            "attacks": self._attacks,
            "aftermath": self._aftermath,
            "two paths": self._two_paths,
            "formats": self._formats,
            "files": self._files,
        }[name](facts)
        self._print_checks(facts)

    def _heading(self, text: str) -> None:
        self._console.rule(f"[bold]{text}", align="left")

    def _ike(self, facts: Facts) -> None:
        self._heading("1. The gateways agree on keys (IKEv2, RFC 7296)")
        table = Table("ms", "gateway", "", "message", "payloads", box=None)
        for item in facts.ike:
            time = f"{item.time * 1000:.1f}"
            payloads = " ".join(item.payloads)
            table.add_row(time, item.gateway, item.direction, item.message, payloads)
        self._console.print(table)

    def _entries(self, facts: Facts) -> None:
        self._heading("2. The controller has written the SA into the switches (read back)")
        for name, entries in facts.entries.items():
            for entry in entries:
                self._console.print(f"{name}: {entry}", markup=False, highlight=False)

    def _trace(self, facts: Facts) -> None:
        self._heading("3. One packet's way through the left switch, to the engine and out")
        for line in facts.trace[:SHOWN_TRACE]:
            self._console.print(f"  {line}", markup=False, highlight=False)
        if len(facts.trace) > SHOWN_TRACE:
            self._console.print(f"  ... {len(facts.trace) - SHOWN_TRACE} steps more")

    def _traffic(self, facts: Facts) -> None:
        self._heading("4. A thousand packets each way")
        for item in facts.traffic:
            self._console.print(
                f"{item.direction}: {item.sent} packets of {item.smallest} to {item.largest} "
                f"octets sent, {item.delivered} delivered in order, {item.identical} identical; "
                f"on the wire {item.esp_frames} ESP packets and nothing else "
                f"({item.seconds:.2f} s)"
            )
        self._console.print(
            "[dim]Compared is the whole inner IPv4 packet. The TTL must be lower by 2 (each "
            "gateway forwards once, RFC 4301 5.1.2), the header checksum must be that of the new "
            "header; every other octet must be the same.[/]"
        )

    def _attacks(self, facts: Facts) -> None:
        self._heading("5. What must not pass, does not, and is counted by name")
        table = Table("attack", "what happens", "counter", "counted", "delivered", box=None)
        for attack in facts.attacks:
            counted = ", ".join(f"{name} +{n}" for name, n in attack.counted.items())
            names = (attack.name, attack.what, attack.counter)
            table.add_row(*names, counted, str(attack.delivered))
        self._console.print(table)

    def _aftermath(self, facts: Facts) -> None:
        self._heading("6. Afterwards")

    def _two_paths(self, facts: Facts) -> None:
        self._heading("7. What anti-replay subspaces buy")
        for item in facts.two_paths:
            self._console.print(
                f"{item.format}: {item.sent} packets take two paths in turn, one {item.skew} "
                f"packets slower; {item.spaces} window(s) of {item.window} packets; "
                f"{item.delivered} delivered"
            )

    def _formats(self, facts: Facts) -> None:
        self._heading("8. Every format")
        table = Table("format", "octets", "on the wire", "a bit changed", "source", box=None)
        for stop in facts.formats:
            sizes = (str(stop.octets), str(stop.on_the_wire))
            table.add_row(stop.format, *sizes, stop.refused, stop.source)
        self._console.print(table)

    def _files(self, facts: Facts) -> None:
        self._heading("9. To see for yourself")
        self._console.print(command(self._directory), markup=False, highlight=False)

    def _print_checks(self, facts: Facts) -> None:
        for check in facts.checks[self._checks :]:
            mark = "[green]ok[/]" if check.held else "[red]FAILED[/]"
            text = f"{check.name}: {escape(check.detail)}"
            self._console.print(f"{mark}  {text}", highlight=False)
        self._checks = len(facts.checks)
        self._console.print()

    def verdict(self, facts: Facts) -> None:
        """The last line."""
        held = sum(check.held for check in facts.checks)
        text = f"{held} of {len(facts.checks)} claims held in {facts.seconds:.1f} s"
        self._console.print(f"[bold {'green' if facts.all_held else 'red'}]{text}[/]")
