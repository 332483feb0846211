"""The run folder: what a training run writes, and how it is read back.

    run/config.yaml                       the configuration (written by the command line)
    run/metrics.jsonl                     one entry per step
    run/edges.jsonl                       births and deaths of edges, one entry per update
    run/summary.json                      the result, once training is done
    run/checkpoint/model.safetensors      weights
    run/checkpoint/topology.safetensors   edges, their lengths, the column permutation
    run/checkpoint/state.pt               optimizer, gradient scaler, rule, step, training seconds

A checkpoint is written to `checkpoint.tmp`, brought to disk, and renamed: whenever a process is
killed, `checkpoint` (or `checkpoint.old`, between two renames) is whole. Nothing is unpickled.
"""

from graphcolumns.checkpoint.disk import write_text
from graphcolumns.checkpoint.folder import check_free, find
from graphcolumns.checkpoint.history import (
    Event,
    begin_history,
    read_history,
    replay,
    write_event,
)
from graphcolumns.checkpoint.load import Progress, load
from graphcolumns.checkpoint.save import save
from graphcolumns.checkpoint.topology import Topology, read_topology

__all__ = [
    "Event",
    "Progress",
    "Topology",
    "begin_history",
    "check_free",
    "find",
    "load",
    "read_history",
    "read_topology",
    "replay",
    "save",
    "write_event",
    "write_text",
]
