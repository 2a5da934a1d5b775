"""Expressions against an evaluator that shares nothing with the generator."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from switch_lab import lab, program_json

from p4esp.switch.codegen import values
from p4esp.switch.runtime import arithmetic

FIELDS = {"op": (8, False), "a": (8, False), "b": (8, False), "s": (8, True), "t": (8, True),
          "x": (13, False), "y": (3, False)}  # fmt: skip


def hexstr(value):
    return {"type": "hexstr", "value": ("-" if value < 0 else "") + hex(abs(value))}


def operation(op, left, right, **more):
    return {"type": "expression", "value": {"op": op, "left": left, "right": right, **more}}


def field(name):
    return {"type": "field", "value": ["input", name]}


leaves = st.one_of(
    st.integers(-(2**9), 2**17).map(hexstr), st.sampled_from(sorted(FIELDS)).map(field)
)


def extend(inner):
    masked = st.tuples(inner, st.integers(1, 20)).map(
        lambda p: operation("&", p[0], hexstr((1 << p[1]) - 1))
    )
    shift = st.integers(0, 20).map(hexstr) | masked.map(lambda e: operation("&", e, hexstr(31)))
    return st.one_of(
        st.tuples(st.sampled_from("+-*&|^"), inner, inner).map(lambda p: operation(*p)),
        st.tuples(st.sampled_from(["<<", ">>"]), masked, shift).map(lambda p: operation(*p)),
        inner.map(lambda e: operation("~", None, e)),
        masked,
        st.tuples(inner, st.integers(1, 20)).map(
            lambda p: operation("two_comp_mod", p[0], hexstr(p[1]))
        ),
        st.tuples(st.sampled_from(["usat_cast", "sat_cast"]), inner, st.integers(1, 20)).map(
            lambda p: operation(p[0], p[1], hexstr(p[2]))
        ),
        st.tuples(booleans(inner), inner, inner).map(
            lambda p: operation("?", p[1], p[2], cond=p[0])
        ),
        booleans(inner).map(lambda e: operation("b2d", None, e)),
    )


def booleans(inner):
    compared = st.tuples(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), inner, inner).map(
        lambda p: operation(*p)
    )
    basic = compared | inner.map(lambda e: operation("d2b", None, e))
    return st.one_of(
        basic,
        st.tuples(st.sampled_from(["and", "or"]), basic, basic).map(lambda p: operation(*p)),
        basic.map(lambda e: operation("not", None, e)),
    )


expressions = st.recursive(leaves, extend, max_leaves=12)

BINARY = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
    "&": lambda a, b: a & b, "|": lambda a, b: a | b, "^": lambda a, b: a ^ b,
    "<<": lambda a, b: a << b, ">>": lambda a, b: a >> b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "and": lambda a, b: a and b, "or": lambda a, b: a or b,
}  # fmt: skip


def two_complement(value, width):
    value %= 1 << width
    return value - (1 << width) if value >> (width - 1) else value


def evaluate(expression, inputs):  # noqa: PLR0911 - one per operator
    """The value by the text of the JSON format, on unbounded integers."""
    if expression["type"] == "hexstr":
        return int(expression["value"], 16)
    if expression["type"] == "field":
        return inputs[expression["value"][1]]
    node = expression["value"]
    op, right = node["op"], evaluate(node["right"], inputs)
    if node["left"] is None:
        return {"~": lambda: ~right, "not": lambda: not right, "d2b": lambda: right != 0,
                "b2d": lambda: int(right)}[op]()  # fmt: skip
    left = evaluate(node["left"], inputs)
    if op == "?":
        return left if evaluate(node["cond"], inputs) else right
    if op == "two_comp_mod":
        return two_complement(left, right)
    if op == "usat_cast":
        return max(0, min(left, (1 << right) - 1))
    if op == "sat_cast":
        return max(-(1 << (right - 1)), min(left, (1 << (right - 1)) - 1))
    return BINARY[op](left, right)


def computing(expression):
    """A device whose ingress assigns the expression to outputs of several types."""
    document = program_json("arithmetic")
    targets = ["u", "i", "wide", "iwide", "odd"]
    primitives = [
        {
            "op": "assign",
            "parameters": [
                {"type": "field", "value": ["output", name]},
                {"type": "expression", "value": expression},
            ],
        }
        for name in targets
    ]
    egress_spec = {"type": "field", "value": ["standard_metadata", "egress_spec"]}
    primitives.append({"op": "assign", "parameters": [egress_spec, hexstr(1)]})
    document["actions"] = [{"name": "a", "id": 0, "runtime_data": [], "primitives": primitives}]
    table = {"name": "tbl_a", "id": 0, "key": [], "match_type": "exact", "type": "simple",
             "max_size": 1, "with_counters": False, "support_timeout": False,
             "direct_meters": None, "action_ids": [0], "actions": ["a"], "base_default_next": None,
             "next_tables": {"a": None}, "default_entry": {"action_id": 0, "action_const": True,
             "action_data": [], "action_entry_const": True}}  # fmt: skip
    document["pipelines"][0].update(init_table="tbl_a", tables=[table], conditionals=[])
    return lab(document)


def unpack_input(packet):
    op, a, b, s, t, xy = struct.unpack(">BBBbbH", packet)
    return {"op": op, "a": a, "b": b, "s": s, "t": t, "x": xy >> 3, "y": xy & 7}


@settings(max_examples=150, deadline=None)
@given(expressions, st.lists(st.binary(min_size=7, max_size=7), min_size=4, max_size=4))
def test_expressions_equal_an_independent_evaluator(expression, packets):
    device = computing(expression)
    for packet in [*packets, b"\x00" * 7, b"\xff" * 7, b"\x80\x7f\x01\x80\x7f\x80\x01"]:
        wanted = int(evaluate(expression, unpack_input(packet)))
        [(_, answer)] = device.send(packet)
        u, i, wide, iwide, odd = struct.unpack(">BbHhH", answer[7:])
        assert (u, i) == (wanted & 0xFF, two_complement(wanted, 8))
        assert (wide, iwide) == (wanted & 0xFFFF, two_complement(wanted, 16))
        assert odd >> 3 == wanted & 0x1FFF


def test_signed_shift_right_keeps_sign():
    device = lab("arithmetic")
    [(_, answer)] = device.send(bytes([6, 0x80, 1, 0x80, 0, 0, 0]))
    assert answer[7:9] == bytes([0x40, 0xC0])


def test_saturating_operations_stop_at_the_type_s_limits():
    device = lab("arithmetic")
    [(_, added)] = device.send(bytes([3, 250, 10, 120, 100, 0, 0]))
    [(_, taken)] = device.send(bytes([4, 5, 10, 0x88, 100, 0, 0]))
    assert added[7:9] == bytes([255, 127])
    assert taken[7:9] == bytes([0, 0x80])


def test_a_mask_no_value_can_exceed_is_left_out():
    byte = values.variable("x", 8)
    assert values.binary("&", byte, values.constant(0xFF)) is byte
    assert "&" in values.binary("&", byte, values.constant(0x7F)).text


def test_a_hostile_shift_amount_costs_no_memory():
    assert arithmetic.shift_left(1, 1 << 60) & 0xFFFFFFFF == 0
    assert arithmetic.shift_left(1, 1 << 60).bit_length() < 1 << 15


def test_division_by_zero_gives_zero():
    assert (arithmetic.divide(7, 0), arithmetic.modulo(7, 0)) == (0, 0)
