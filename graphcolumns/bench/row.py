"""One piece of work that was measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphcolumns.bench.clock import Time


@dataclass(frozen=True)
class Row:
    """One piece of work.

    Attributes:
        case: Name of the case.
        shape: Sizes, in words.
        who: Name of the peer, or ``ours``.
        seconds: Time of one call, or None where it was not timed.
        ratio: Median time over ours, or None.
        limit: Share of the machine's limit that ours reached, or None.
        memory: Peak bytes beyond its inputs, or None.
        note: Remark, for example why it is missing.
        values: Further numbers, by name.
    """

    case: str
    shape: str
    who: str
    seconds: Time | None = None
    ratio: float | None = None
    limit: float | None = None
    memory: float | None = None
    note: str = ""
    values: dict[str, float] = field(default_factory=dict)
