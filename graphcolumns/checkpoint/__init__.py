"""The run folder: what a training run writes, and how it is read back.

    run/config.yaml                       the configuration (written by the command line)
    run/metrics.jsonl                     one entry per step
    run/edges.jsonl                       births and deaths of edges, one entry per update
    run/summary.json                      the result, once training is done
    run/checkpoint/model.safetensors      weights
    run/checkpoint/topology.safetensors   edges, their lengths, the column permutation
    run/checkpoint/state.pt               optimizer, gradient scaler, rule, step, training seconds
    run/checkpoint/about.json             fingerprint of the run, best score so far
    run/best/                             the checkpoint with the best validation score
    run/changes.jsonl                     what was changed on purpose when the run was resumed

A checkpoint is written to ``checkpoint.tmp``, brought to disk, and renamed: whenever a process is
killed, ``checkpoint`` (or ``checkpoint.old``, between two renames) is whole. Nothing is unpickled.
"""

from graphcolumns.checkpoint.about import About, Best, Change, read_about, read_changes
from graphcolumns.checkpoint.disk import write_text
from graphcolumns.checkpoint.folder import check_free, find_checkpoint, forget_start, has_checkpoint
from graphcolumns.checkpoint.history import (
    Event,
    begin_history,
    read_histories,
    read_history,
    replay,
    write_event,
)
from graphcolumns.checkpoint.load import Progress, load, read_step
from graphcolumns.checkpoint.save import keep_best, save
from graphcolumns.checkpoint.topology import Topology, read_topology

__all__ = [
    "About",
    "Best",
    "Change",
    "Event",
    "Progress",
    "Topology",
    "begin_history",
    "check_free",
    "find_checkpoint",
    "forget_start",
    "has_checkpoint",
    "keep_best",
    "load",
    "read_about",
    "read_changes",
    "read_histories",
    "read_history",
    "read_step",
    "read_topology",
    "replay",
    "save",
    "write_event",
    "write_text",
]
