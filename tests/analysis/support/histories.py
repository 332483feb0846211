"""A log of births and deaths that fits on a page, for the tests of analysis."""

import json
from pathlib import Path

import torch

from graphcolumns.checkpoint import Event

# Edges are (target, source). After each update: {01 12 23 33}, {02 12 23 33}, {01 02 23 30 33},
# {12 23 30 33}; 01 and 12 die and are born again.
LOG = [
    (0, [], [(0, 1), (1, 2), (2, 3), (3, 3)]),
    (10, [(0, 1)], [(0, 2)]),
    (20, [(1, 2)], [(0, 1), (3, 0)]),
    (30, [(0, 1), (0, 2)], [(1, 2)]),
]


def pairs(edges) -> torch.Tensor:
    return torch.tensor(list(edges), dtype=torch.int64).reshape(-1, 2).t()


def events(log=LOG) -> list[Event]:
    return [
        Event(step, update, pairs(died), pairs(born))
        for update, (step, died, born) in enumerate(log)
    ]


def write(run: Path, log) -> None:
    lines = [
        {"step": step, "update": update, "died": list(died), "born": list(born)}
        for update, (step, died, born) in enumerate(log)
    ]
    (run / "edges.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
