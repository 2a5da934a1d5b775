"""The registry of ESP formats is complete, says whose layout each is, and draws and sums it up."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from p4esp.ipsec.formats import (
    FORMATS,
    Format,
    FormatError,
    Number,
    Option,
    Parameters,
    Proof,
    TailUse,
    Target,
    format_named,
)
from p4esp.ipsec.formats.describing import describe
from p4esp.ipsec.formats.drawing import RULER, draw, rows
from p4esp.ipsec.sa import Mode

REPOSITORY = Path(__file__).parents[3]
PACKAGE = REPOSITORY / "py" / "p4esp" / "ipsec" / "formats"
CONTRACT = {
    "esp": 0,
    "subspaces": 1,
    "sub-child": 1,
    "trailer-in-header": 2,
    "trailer-in-clear": 3,
    "crypt-offset-shown": 3,
    "no-trailer": 4,
    "header-in-trailer": 5,
    "crypt-offset": 6,
    "spi-block": 7,
    "wesp": 0,
    "wesp-v2": 8,
    "eesp-optimized": 9,
    "eesp-full": 10,
    "psp": 11,
    "diet-esp": 12,
}
NOTIFIES = {
    "esp": [],
    "sub-child": [(51211, "010000030001")],
    "spi-block": [(51211, "020200030001")],
    "subspaces": [(52020, "01000010")],
    "trailer-in-header": [(51204, "80")],
    "trailer-in-clear": [(51204, "40")],
    "no-trailer": [(51204, "20")],
    "header-in-trailer": [(51205, "01")],
    "crypt-offset": [(51206, "0780")],
    "crypt-offset-shown": [(51206, "07c0")],
    "wesp": [(16415, "")],
    "wesp-v2": [(51207, "07")],
    "eesp-optimized": [(51201, "0003")],
    "eesp-full": [(51202, "08"), (51201, "0003")],
    "psp": [],
    "diet-esp": [(52050, "0100001080030000800400088005000880060001")],
}
PROPOSED = (
    "0000002c 00000028 01c90403 00001001 0300000c 01000014 800e0100 03000008 f1000001 00000008 "
    "05000400"
)
every_format = pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)


def test_the_registry_has_the_formats_of_the_contract_with_their_numbers() -> None:
    assert {form.name: form.number for form in FORMATS} == CONTRACT


def test_each_format_is_a_module_of_its_own() -> None:
    modules = {form.name.replace("-", "_") for form in FORMATS}
    assert all((PACKAGE / f"{module}.py").is_file() for module in modules)


@every_format
def test_each_notify_has_the_number_of_the_design_and_the_data_of_the_digest(form: Format) -> None:
    found = [(notify.number, notify.example.hex()) for notify in form.notifies]
    assert found == NOTIFIES[form.name]


@every_format
def test_eesp_alone_is_proposed_as_a_protocol_with_the_numbers_of_the_digest(form: Format) -> None:
    assert (form.proposal is not None) is form.name.startswith("eesp")
    if proposal := form.proposal:
        assert (proposal.protocol, proposal.example) == (201, bytes.fromhex(PROPOSED))
        numbers, derivation = proposal.transforms[1:3]
        assert {"1024", "1025"} <= set(re.findall(r"\d+", numbers))
        assert derivation.startswith("SSKDF, type 241: 1 HKDF-SHA2-256")


@every_format
def test_only_formats_of_a_protocol_of_their_own_leave_protocol_50(form: Format) -> None:
    own = {
        "header-in-trailer": 254,
        "wesp": 141,
        "wesp-v2": 141,
        "eesp-optimized": 253,
        "eesp-full": 253,
        "psp": 17,
    }
    assert form.protocol == own.get(form.name, 50)
    assert form.udp_port == (1000 if form.name == "psp" else 0)


@every_format
def test_a_source_tells_rfc_draft_and_proposal_apart(form: Format) -> None:
    drafts = ("wesp-v2", "eesp-optimized", "eesp-full", "diet-esp")
    wanted = (
        "standard"
        if form.name in ("esp", "wesp")
        else "draft"
        if form.name in drafts
        else "specification"
        if form.name == "psp"
        else "our proposal"
    )
    assert form.source.standing == wanted


@pytest.mark.parametrize("name", ["wesp-v2", "eesp-optimized", "eesp-full", "diet-esp"])
def test_a_draft_is_never_named_without_what_we_chose_where_it_is_open(name: str) -> None:
    source = format_named(name).source
    assert source.short.endswith("gaps ours")
    assert "open, our choice: " in source.text
    assert re.match(r"draft-\S+-0\d \(text\)", source.text)


@every_format
def test_a_layout_that_neither_rfc_nor_draft_fixes_says_that_it_is_ours(form: Format) -> None:
    published = ("RFC", "draft-", "PSP architecture specification, google/psp")
    assert form.source.ours is not form.source.text.startswith(published)
    if form.source.ours:
        assert form.source.short.startswith("ours")
        assert form.source.text.startswith("our proposal, after ")
        assert "our layout" in form.source.text


def test_psp_says_what_we_chose_where_its_specification_is_open() -> None:
    source = format_named("psp").source
    assert source.short.endswith("gaps ours")
    assert "open, our choice: nothing is sampled" in source.text
    assert "reserved bits must be 0, which the specification would have ignored" in source.text


def test_what_ike_does_not_know_says_how_two_ends_agree() -> None:
    assert [form.name for form in FORMATS if form.agreement] == ["psp"]
    assert format_named("psp").agreement.startswith("Not by IKE")


@pytest.mark.parametrize("name", ["subspaces", "trailer-in-header", "trailer-in-clear"])
def test_where_a_draft_could_not_be_read_the_source_says_so(name: str) -> None:
    assert "our layout; the draft could not be read" in format_named(name).source.text


def test_only_header_in_trailer_needs_the_tail_for_its_lookup_and_only_it_is_refused() -> None:
    for form in FORMATS:
        form.check_target(Target.BMV2)
        form.check_target(Target.EMBEDDED)
        if form.tail_use is not TailUse.LOOKUP and form.name != "diet-esp":
            form.check_target(Target.TOFINO)
    refused = [form for form in FORMATS if form.tail_use is TailUse.LOOKUP]
    assert [form.name for form in refused] == ["header-in-trailer"]
    with pytest.raises(FormatError, match="header-in-trailer cannot run on target tofino"):
        refused[0].check_target(Target.TOFINO)


def test_a_switch_chip_makes_no_checksum_over_a_payload() -> None:
    with pytest.raises(
        FormatError, match="diet-esp cannot run on target tofino: it makes checksum"
    ):
        format_named("diet-esp").check_target(Target.TOFINO)


def test_formats_for_tunnels_alone_are_those_that_do_not_say_what_the_payload_is() -> None:
    tunnels = {form.name for form in FORMATS if form.modes == (Mode.TUNNEL,)}
    assert tunnels == {"no-trailer", "header-in-trailer", "eesp-optimized", "diet-esp"}
    no_beet = {form.name for form in FORMATS if set(form.modes) == {Mode.TUNNEL, Mode.TRANSPORT}}
    assert no_beet == {"psp"}
    rest = [form for form in FORMATS if form.name not in tunnels | no_beet]
    assert all(set(form.modes) == set(Mode) for form in rest)
    with pytest.raises(FormatError, match="psp has no beet mode; accepted: tunnel, transport"):
        format_named("psp").check_mode(Mode.BEET)
    with pytest.raises(FormatError, match="no-trailer has no transport mode; accepted: tunnel"):
        format_named("no-trailer").check_mode(Mode.TRANSPORT)


def test_an_unknown_format_lists_those_there_are() -> None:
    with pytest.raises(FormatError, match="accepted: esp, sub-child"):
        format_named("esp-2000")


@every_format
def test_every_rule_is_told_in_words(form: Format) -> None:
    told = describe(form)
    assert all(text.endswith(".") for text in (told["rules"] | told["words"]).values())


# ------------------------------------------------------------ AAD


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("esp", 8),
        ("sub-child", 12),
        ("subspaces", 12),
        ("spi-block", 8),
        ("trailer-in-header", 8),
        ("trailer-in-clear", 20),
        ("no-trailer", 8),
        ("header-in-trailer", 16),
        ("crypt-offset", 16),
        ("crypt-offset-shown", 20),
        ("wesp", 18),
        ("wesp-v2", 20),
        ("eesp-optimized", 16),
        ("eesp-full", 32),
        ("psp", 16),
    ],
)
def test_the_aad_has_the_octets_of_the_digest_besides_what_is_shown(name: str, octets: int) -> None:
    layout = format_named(name).layout()
    assert sum(field.bits or 0 for field in layout if field.proof is Proof.AAD) == 8 * octets


# ------------------------------------------------------------ overhead

# Section L and c.9 of the digest: octets by inner length modulo 4, over IPv4.
OVERHEAD = {
    "esp": (56, 55, 54, 57),
    "sub-child": (52, 51, 50, 53),
    "spi-block": (56, 55, 54, 57),
    "subspaces": (52, 51, 50, 53),
    "trailer-in-header": (56, 59, 58, 57),
    "trailer-in-clear": (56, 59, 58, 57),
    "no-trailer": (52, 55, 54, 53),
    "header-in-trailer": (52, 55, 54, 53),
    "crypt-offset": (56, 55, 54, 57),
    "crypt-offset-shown": (56, 59, 58, 57),
    "wesp": (60, 59, 58, 61),
    "wesp-v2": (60, 59, 58, 61),
    "eesp-optimized": (52, 55, 54, 53),
    "eesp-full": (68, 71, 70, 69),
    "psp": (60, 60, 60, 60),
    "diet-esp": (14, 14, 14, 14),
}
# 20 for the outer header, and what brings the payload to a multiple of 8 octets.
OVER_IPV6 = {"wesp": 24, "wesp-v2": 24}


@every_format
def test_the_overhead_is_that_of_the_digest(form: Format) -> None:
    for payload in (*range(60, 64), *range(1400, 1404)):
        assert form.overhead(payload) == OVERHEAD[form.name][payload % 4]
        over_ipv6 = form.overhead(payload, outer=6) - form.overhead(payload)
        assert over_ipv6 == OVER_IPV6.get(form.name, 20)


def test_an_implicit_iv_saves_its_eight_octets() -> None:
    form = format_named("esp")
    assert form.overhead(1400, parameters=Parameters(iv_len=0)) == 48


@pytest.mark.parametrize(
    ("name", "parameters", "octets"),
    [
        ("eesp-optimized", Parameters(iv_len=0), 52),
        ("eesp-optimized", Parameters(), 60),
        ("eesp-optimized", Parameters(numbered=False), 52),
        ("eesp-full", Parameters(shown=32, options=(Option.OFFSET,)), 68),
        ("eesp-full", Parameters(iv_len=0, shown=32, options=(Option.OFFSET,)), 60),
        ("eesp-full", Parameters(), 64),
        ("psp", Parameters(options=(Option.COOKIE,)), 68),
        ("psp", Parameters(shown=32, options=(Option.COOKIE,)), 68),
    ],
)
def test_variants_of_eesp_and_psp_cost_what_the_digest_says(
    name: str, parameters: Parameters, octets: int
) -> None:
    assert format_named(name).overhead(1400, parameters=parameters) == octets


@pytest.mark.parametrize(
    ("name", "parameters", "padded"),
    [
        ("wesp-v2", Parameters(shown=28), True),
        ("wesp-v2", Parameters(iv_len=0, shown=28), True),
        ("eesp-optimized", Parameters(), False),
        ("eesp-optimized", Parameters(iv_len=0), False),
        ("eesp-full", Parameters(), True),
        ("eesp-full", Parameters(iv_len=0), True),
        ("eesp-full", Parameters(shown=32, options=(Option.OFFSET,)), False),
        ("eesp-full", Parameters(iv_len=0, shown=32, options=(Option.OFFSET,)), False),
        ("trailer-in-header", Parameters(), False),
    ],
)
def test_over_ipv6_a_pad_brings_the_payload_to_a_multiple_of_8_octets(
    name: str, parameters: Parameters, padded: bool
) -> None:
    form = format_named(name)
    assert form.over(4, parameters) == parameters
    assert (Option.PAD in form.over(6, parameters).options) is padded


@every_format
def test_what_is_shown_changes_nothing_of_the_length(form: Format) -> None:
    for payload in range(28, 64):
        lengths = {form.added(payload, Parameters(shown=shown)) for shown in (0, 4, 28)}
        assert len(lengths) == 1


# ------------------------------------------------------------ drawing


@every_format
@pytest.mark.parametrize("iv_len", [0, 8])
def test_every_row_of_a_drawing_has_32_bits(form: Format, iv_len: int) -> None:
    for row in rows(form, Parameters(iv_len=iv_len, shown=form.usual.shown)):
        assert sum(cell.bits for cell in row) == 32


@every_format
def test_every_field_is_drawn_once_and_as_long_as_it_is(form: Format) -> None:
    cells = [cell for row in rows(form) for cell in row]
    for field in form.layout():
        own = [cell for cell in cells if cell.field is field or cell.field == field]
        assert [cell.first for cell in own].count(True) == 1
        assert field.bits in (None, sum(cell.bits for cell in own))


@every_format
def test_lines_are_as_wide_as_the_ruler_and_boxes_are_closed(form: Format) -> None:
    lines = draw(form)
    assert tuple(lines[:2]) == RULER
    drawn = [line[:65] for line in lines[2:]]
    assert {len(line) for line in drawn} == {65}
    assert all(re.fullmatch(r"\+.*\+", edge) for edge in drawn[::2])
    assert all(re.fullmatch(r"[|~].*[|~]", line) for line in drawn[1::2])
    assert drawn[0] == drawn[-1] == "+-" * 32 + "+"


def test_plain_esp_is_drawn_as_rfc_4303_draws_it() -> None:
    assert draw(format_named("esp"), Parameters(iv_len=0, icv_len=8))[2:] == [
        "+-" * 32 + "+",
        "|" + "SPI".center(63) + "|  clear, authenticated",
        "+-" * 32 + "+",
        "|" + "Sequence Number".center(63) + "|  clear, authenticated",
        "+-" * 32 + "+",
        "~" + "Payload (variable)".center(63) + "~  encrypted, authenticated",
        "+-" * 32 + "+",
        "~       Padding (variable)      |   Pad Length  |  Next Header  ~  "
        "encrypted, authenticated",
        "+-" * 32 + "+",
        "|" + "ICV".center(63) + "|  check value",
        "+" + " " * 63 + "+",
        "|" + " " * 63 + "|  check value",
        "+-" * 32 + "+",
    ]


def test_the_first_bits_of_a_row_are_where_the_ruler_has_them() -> None:
    line = draw(format_named("subspaces"))[5]
    bars = [place for place, character in enumerate(line[:65]) if character == "|"]
    assert bars == [0, 2 * 16, 2 * 32]
    assert all(left < right for left, right in pairwise(bars))


def test_numbers_of_the_registry_are_those_of_the_pipeline() -> None:
    source = (REPOSITORY / "p4src" / "common" / "ids.p4").read_text()
    (body,) = re.findall(r"enum bit<\d+> format_t \{(.*?)\}", source, re.DOTALL)
    numbers = {name: int(value) for name, value in re.findall(r"(\w+)\s*=\s*(\d+)", body)}
    assert numbers == {number.name: number.value for number in Number}
