"""Congestion marks at a tunnel's end: RFC 6040 figure 4."""

from __future__ import annotations

NOT_ECT, ECT_1, ECT_0, CE = range(4)
ECN_MATRIX = {
    (NOT_ECT, NOT_ECT): NOT_ECT,
    (NOT_ECT, ECT_0): NOT_ECT,
    (NOT_ECT, ECT_1): NOT_ECT,
    (NOT_ECT, CE): None,
    (ECT_0, NOT_ECT): ECT_0,
    (ECT_0, ECT_0): ECT_0,
    (ECT_0, ECT_1): ECT_1,
    (ECT_0, CE): CE,
    (ECT_1, NOT_ECT): ECT_1,
    (ECT_1, ECT_0): ECT_1,
    (ECT_1, ECT_1): ECT_1,
    (ECT_1, CE): CE,
    (CE, NOT_ECT): CE,
    (CE, ECT_0): CE,
    (CE, ECT_1): CE,
    (CE, CE): CE,
}
"""(inner, outer) to the ECN field of what is forwarded; None is a drop."""
