"""`p4esp formats` in a user's hands, and the page and the document that explain the formats."""

import json
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from format_vectors import ANSWERS

from p4esp.formats_lab.charts import Chart, svg
from p4esp.formats_lab.costs import Cost, Moved
from p4esp.formats_lab.page import charts, measured_words, page
from p4esp.ipsec.formats import FORMATS
from p4esp.ipsec.formats.describing import SAMPLES, rules, words
from p4esp.ipsec.formats.drawing import draw

REPOSITORY = Path(__file__).parents[3]
GUIDE = (REPOSITORY / "docs" / "formats.md").read_text()
VOID = {"meta", "rect", "br"}


def p4esp(*arguments: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    command = [sys.executable, "-c", "from p4esp.cli.main import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def formats_json(*arguments: str):
    done = p4esp("formats", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ------------------------------------------------------------ list and show


def test_list_names_every_format_with_its_source() -> None:
    done = p4esp("formats", "list")
    assert "…" not in done.stdout, "80 columns are enough"
    for form in FORMATS:
        (line,) = [line for line in done.stdout.splitlines() if line.split()[:1] == [form.name]]
        assert form.source.short in line


def test_list_as_json_has_all_that_is_known() -> None:
    listed = formats_json("list")
    assert [item["name"] for item in listed] == [form.name for form in FORMATS]
    assert all(item["source"]["text"] and item["rules"]["AAD"] for item in listed)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_show_draws_the_header_and_tells_rules_and_source(form) -> None:
    shown = p4esp("formats", "show", form.name).stdout
    assert "\n".join(draw(form)) in shown
    told = " ".join(shown.split())
    assert form.source.text in told
    assert form.nonce_rule in told
    assert all(str(notify.number) in told for notify in form.notifies)
    assert form.proposal is None or f"Protocol {form.proposal.protocol}, private" in told


def test_show_refuses_a_target_by_name() -> None:
    done = p4esp("formats", "show", "header-in-trailer", "--target", "tofino")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("p4esp formats: format header-in-trailer cannot run on target")
    assert p4esp("formats", "show", "esp", "--target", "tofino").returncode == 0


def test_an_unknown_name_is_one_line_with_those_accepted(tmp_path: Path) -> None:
    for typed in (("show", "x"), ("packet", "x"), ("vector", "x")):
        done = p4esp("formats", *typed)
        assert done.returncode == 1
        assert re.fullmatch(r"p4esp formats: .*'x' is not known; accepted: .*\n", done.stderr)


def test_outside_the_repository_what_needs_no_program_works(tmp_path: Path) -> None:
    assert p4esp("formats", "show", "esp", cwd=tmp_path).returncode == 0
    done = p4esp("formats", "vector", "V0", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("p4esp formats: no p4src/")


# ------------------------------------------------------------ packet and vector


def test_packet_lists_fields_with_offset_length_and_digits() -> None:
    done = p4esp("formats", "packet", "trailer-in-clear", "--payload", "61")
    assert re.search(r"^16 +4 bits +Zero +0 ", done.stdout, re.MULTILINE)
    assert re.search(r"^19 +1 +Pad Length +03 ", done.stdout, re.MULTILINE)
    assert "…" not in done.stdout
    assert p4esp("formats", "packet", "esp", "--payload", "20").returncode == 2


def test_packet_as_json_covers_the_packet() -> None:
    made = formats_json("packet", "subspaces")
    assert "".join(f["hex"] for f in made["fields"] if not f["encrypted"]) in (
        made["hex"][:24] + made["hex"][-32:]
    )
    assert sum(field["bits"] for field in made["fields"]) == 4 * len(made["hex"])


@pytest.mark.parametrize("vector", ANSWERS)
def test_vector_as_json_is_id_format_and_octets(vector: str) -> None:
    name, _, answer = ANSWERS[vector]
    assert formats_json("vector", vector) == {"id": vector, "format": name, "hex": answer}


# ------------------------------------------------------------ compare


def sample(form, place: int) -> Cost:
    return Cost(
        format=form.name,
        overhead={size: form.overhead(size) for size in SAMPLES},
        encap=Moved(200 + place, 1000),
        decap=Moved(210 + place, 1001),
        parser_states=10,
        parser_depth=9,
        header_bits=1000 + place,
        tables=11,
        spaces=1 + place % 4,
        register_cells=6,
        register_bits=384,
        tail=form.tail_use.value,
        packets_out=60_000.4,
        packets_in=50_000.0 - place,
    )


COSTS = [sample(form, place) for place, form in enumerate(FORMATS)]


class Reader(HTMLParser):
    """Collects tags and text, and checks that elements are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID or tag == "rect":
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data


def read(document: str) -> Reader:
    reader = Reader()
    reader.feed(document)
    assert reader.open == []
    return reader


def test_the_page_is_self_contained() -> None:
    reader = read(page(COSTS))
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "img", "iframe", "object"}
    loading = ("src", "href", "xlink:href", "data", "srcset")
    assert not [name for _, attributes in reader.tags for name in attributes if name in loading]
    assert not re.search(r"https?:|url\(|@import", page(COSTS))


def test_the_page_answers_for_each_format_what_it_costs_and_what_it_buys() -> None:
    text = read(page(COSTS)).text
    for cost, form in zip(COSTS, FORMATS, strict=True):
        assert f"What it costs. {form.costs} {measured_words(cost, COSTS[0])}" in text
        assert f"What it buys. {form.buys}" in text
        assert f"Source: {form.source.text}." in text
    for standing in ("our proposal", "standard", "draft"):
        formats = [form for form in FORMATS if form.source.standing == standing]
        assert text.count(f"({standing})") == len(formats)


def test_every_figure_has_a_bar_and_no_bar_leaves_the_drawing() -> None:
    drawn = charts(COSTS)
    for chart in drawn:
        reader = read(svg(chart))
        bars = [attributes for tag, attributes in reader.tags if tag == "rect"]
        assert len(bars) == len(FORMATS) * len(chart.series)
        assert max(float(bar["width"] or 0) for bar in bars) == 470
    assert sum(len(chart.series) for chart in drawn) == len(SAMPLES) + 2 + 2 + 2 + 1 + 1 + 1 + 2


def test_names_in_a_chart_are_text_not_markup() -> None:
    chart = Chart("<b>", "&", ("a",), ("<script>",), ((0.0,),))
    assert "script" not in {tag for tag, _ in read(svg(chart)).tags}


def test_compare_runs_prints_a_figure_in_every_cell_and_writes_the_page(tmp_path: Path) -> None:
    path = tmp_path / "formats.html"
    done = p4esp("formats", "compare", "--json", "--html", str(path))
    assert done.returncode == 0, done.stderr
    costs = json.loads(done.stdout)
    assert [cost["format"] for cost in costs] == [form.name for form in FORMATS]
    reader = read(path.read_text())
    assert all(form.title in reader.text for form in FORMATS)


# ------------------------------------------------------------ the document


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.strip().splitlines()]


@pytest.mark.parametrize("typed", commands(), ids=" ".join)
def test_the_commands_of_the_document_work(typed: list[str], tmp_path: Path) -> None:
    assert typed[:2] == [".venv/bin/p4esp", "formats"]
    here = [word.replace("formats.html", str(tmp_path / "formats.html")) for word in typed[1:]]
    done = p4esp(*here)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "…" not in done.stdout


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_the_document_says_of_each_format_what_the_registry_says(form) -> None:
    section = re.split(r"^### ", GUIDE, flags=re.MULTILINE)
    (own,) = [text for text in section if text.startswith(f"`{form.name}`")]
    text = " ".join(own.split())
    assert form.source.text in text
    assert all(f"N({notify.name}) {notify.number}" in text for notify in form.notifies)
    assert form.proposal is None or f"Protocol {form.proposal.protocol}, private" in text
    assert "\n".join(draw(form)) in own
    assert all(said in text for said in (*words(form).values(), *rules(form).values()))


def test_the_document_has_the_overhead_of_the_registry() -> None:
    for form in FORMATS:
        octets = " | ".join(str(form.overhead(1400 + rest)) for rest in range(4))
        assert f"| `{form.name}` | {octets} |" in GUIDE
