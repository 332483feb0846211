"""What every process of tests/distributed/test_halo.py does."""

import os
import sys

import torch
from torch import distributed

from graphcolumns import ColumnGraph, column_attention
from graphcolumns.distributed.halo import Halo, exchange_plans, fetch, plan_halos
from graphcolumns.distributed.partition import ColumnShard, Partition, shard_graph

SIZES = (1, 2, 3, 4)
GRAPHS = 6


def ragged(number: int) -> ColumnGraph:
    """Edges that spare nobody: hubs of both kinds, no in-edges, ranks without any edge."""
    generator = torch.Generator().manual_seed(number)
    columns = 13 + 8 * number
    mask = torch.rand(columns, columns, generator=generator) < 0.2
    mask[0] = mask[:, -1] = True
    mask[columns // 3] = False
    if number % 3 == 0:  # the last rank receives nothing, and nobody from it
        mask[columns // 2 :] = mask[:, columns // 2 :] = False
    target, source = mask.nonzero().t()
    return ColumnGraph.from_edge_index(torch.stack([source, target]), columns)


def inputs(graph: ColumnGraph, dtype: torch.dtype) -> list[torch.Tensor]:
    """q, k, v, the bias of every edge, and the gradient that arrives."""
    generator = torch.Generator().manual_seed(7)
    shape = (graph.num_columns, 3, 2, 5)
    rows = [torch.randn(shape, generator=generator, dtype=dtype) for _ in range(3)]
    bias = torch.randn(graph.num_edges, 2, generator=generator, dtype=dtype)
    return [*rows, bias, torch.randn(shape, generator=generator, dtype=dtype)]


def whole(graph: ColumnGraph, dtype: torch.dtype) -> list[torch.Tensor]:
    """Out, lse and all gradients in one process."""
    *given, arriving = inputs(graph, dtype)
    q, k, v, bias = (x.requires_grad_() for x in given)
    out, _, lse = column_attention(q, k, v, graph, bias=bias)
    return [out, lse, *torch.autograd.grad(out, (q, k, v, bias), arriving)]


def part(
    graph: ColumnGraph, shard: ColumnShard, halo: Halo, group, dtype: torch.dtype, compiled: bool
) -> list[torch.Tensor]:
    """The same for the columns of one rank, which has no other rows."""
    first, last = shard.columns
    edges = slice(shard.first_edge, shard.first_edge + shard.graph.num_edges)
    q, k, v, bias, arriving = inputs(graph, dtype)
    given = [q[first:last], k[first:last], v[first:last], bias[edges]]
    q, k, v, bias = (x.clone().requires_grad_() for x in given)

    def attend(q, k, v, bias):
        both = fetch(torch.cat([k, v], 3), halo, group)
        return column_attention(q, *both.split([5, 5], 3), shard.graph, bias=bias)

    attend = torch.compile(attend, backend="aot_eager", fullgraph=True) if compiled else attend
    out, _, lse = attend(q, k, v, bias)
    return [out, lse, *torch.autograd.grad(out, (q, k, v, bias), arriving[first:last])]


def tell(group, size: int, rank: int) -> dict:
    """All that one rank of a group of ``size`` finds."""
    found: dict = {"out": [], "plans": []}
    for number in range(GRAPHS):
        graph = ragged(number)
        partition = Partition(graph.num_columns, size, blocks=4 + number)
        shard = shard_graph(graph, partition, rank)
        halo = exchange_plans(shard, group)
        shards = [shard_graph(graph, partition, other) for other in range(size)]
        found["plans"].append(same_plan(halo, plan_halos(shards)[rank]))
        for dtype in (torch.float32, torch.float64):
            compiled = number == 1 and dtype == torch.float64
            parts = part(graph, shard, halo, group, dtype, compiled)
            found["out"].append([x.detach() for x in parts])
    return found


def same_plan(one: Halo, other: Halo) -> bool:
    counts = (one.send_counts, one.receive_counts) == (other.send_counts, other.receive_counts)
    return counts and torch.equal(one.send, other.send)


def refusals(rank: int) -> list[str]:
    """What a rank is told that has another graph, another partition, or too few companions."""
    said = []
    graph, other = ragged(1), ragged(1).permute(torch.arange(21).flip(0))
    blocks = Partition(21, 4, blocks=4 if rank < 2 else 21)
    for shard in (
        shard_graph(graph if rank < 2 else other, Partition(21, 4), rank),
        shard_graph(graph, blocks, rank),
        shard_graph(graph, Partition(21, 2), rank % 2),
    ):
        try:
            exchange_plans(shard)
            said.append("")
        except ValueError as error:
            said.append(str(error))
    return said


def work(rank: int, folder: str) -> None:
    """Of process ``rank`` of four."""
    torch.set_num_threads(1)
    sys.stderr = open(os.devnull, "w")
    rendezvous = f"file://{folder}/rendezvous"
    distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=4)
    told: dict = {}
    for size in SIZES:
        group = distributed.new_group(list(range(size)))
        told[size] = tell(group, size, rank) if rank < size else None
    told["refusals"] = refusals(rank)
    torch.save(told, f"{folder}/{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()
