"""What every process of tests/distributed/test_consensus.py does."""

import hashlib
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from graphcolumns.graph.keys import edge_keys
from graphcolumns.plasticity import (
    Plasticity,
    Rule,
    criteria,
    presets,
    rule_from_options,
    samplers,
)
from tests.plasticity.support.learners import LOSSES, SHEET, batch, learner, optimizer_of, rows

UPDATES, EVERY, SIZES = 2, 1, (2, 4)
FEW = {"every": EVERY, "stop": 1.0, "samples": 16, "check_samples": 8}

# Rules that read no data: seeds, places and paths decide.
BLIND: dict[str, Callable[[], Rule]] = {
    "static": partial(presets.static, 8),
    "random": partial(
        rule_from_options, prune=criteria.chance, grow=criteria.chance, samples=2, check_samples=0
    ),
    "near": partial(
        rule_from_options,
        prune=criteria.length,
        grow=partial(criteria.distance_kernel, length=2.0),
        sampler=samplers.distance,
        samples=2,
        check_samples=0,
    ),
    "paths of three, drawn": partial(
        rule_from_options,
        prune=criteria.chance,
        grow=criteria.ch2_l3n,
        sampler=samplers.two_hop,
        temperature=2.0,
        samples=2,
        check_samples=0,
    ),
    "alike, oldest first": partial(
        rule_from_options,
        prune=partial(criteria.age, oldest_first=True),
        grow=criteria.matching_index,
        samples=2,
        check_samples=0,
    ),
}
# Rules that read scores of samples, or the gradients of the steps in between.
SEEING: dict[str, Callable[[], Rule]] = {
    "set": partial(presets.set, 8, **FEW),
    "rigl": partial(presets.rigl, 8, **FEW),
    "exact": partial(presets.exact, 8, fraction=0.5, **FEW),
    "homeostatic": partial(presets.homeostatic, 8, rate=3.0, **FEW),
    "movement": partial(
        rule_from_options,
        prune=criteria.movement,
        grow=criteria.insertion_gain,
        watch_movement=True,
        grace=1,
        samples=16,
        check_samples=0,
    ),
}


def digest(tensors: list[Tensor]) -> str:
    """The bits of some tensors."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()


def step(net: nn.Module, model: nn.Module, optimizer: Any, changing: Plasticity, shard: slice):
    """One optimizer step on a part of the samples; the network averages the gradients."""
    data = rows()
    optimizer.zero_grad()
    LOSSES(net(data.train_inputs[shard]), data.train_targets[shard]).mean().backward()
    changing.watch(model)
    optimizer.step()


def life(rule: Rule, shard: slice = slice(None), wrap: Callable = lambda model: model):
    """Train, and wrap the model again after each update.

    Returns:
        What the edges were after each update, as text; model and optimizer.
    """
    model = learner()
    optimizer, changing, net = optimizer_of(model), Plasticity(rule, SHEET, seed=3), wrap(model)
    edges = []
    for number in range(1, UPDATES + 1):
        for _ in range(EVERY):
            step(net, model, optimizer, changing, shard)
        changing.update(model, optimizer, number * EVERY, *batch(rule, number), LOSSES)
        net = wrap(model)
        edges.append(digest([edge_keys(model.graph)]))
    step(net, model, optimizer, changing, shard)
    return edges, model, optimizer


def bits(model: nn.Module, optimizer: Any) -> str:
    """Of parameters and optimizer state."""
    values: list[Tensor] = []
    for parameter in model.parameters():
        values += [parameter, *optimizer.state[parameter].values()]
    return digest(values)


def lives(size: int, group: Any) -> dict[str, tuple[list[str], str]]:
    """Rules on a group of so many processes, each with its shard of every batch.

    Those that read scores only on the largest: on each size they may choose otherwise.
    """
    shard = slice(distributed.get_rank(group), None, size)
    wrap = partial(DistributedDataParallel, process_group=group)
    found = {}
    for name, make in (BLIND | (SEEING if size == max(SIZES) else {})).items():
        edges, model, optimizer = life(make(), shard, wrap)
        found[name] = edges, bits(model, optimizer)
    return found


def forgetful(group: Any) -> list[str]:
    """What happens without wrapping again: in the next step, and in the one after it."""
    rule = presets.rigl(8, **FEW)
    model = learner()
    optimizer, changing = optimizer_of(model), Plasticity(rule, SHEET)
    net = DistributedDataParallel(model, process_group=group)
    shard = slice(distributed.get_rank(group), None, distributed.get_world_size(group))
    step(net, model, optimizer, changing, shard)
    changing.update(model, optimizer, 2, *batch(rule), LOSSES)
    said = [bits(model, optimizer)]
    step(net, model, optimizer, changing, shard)
    said.append(bits(model, optimizer))
    return [*said, error_of(lambda: step(net, model, optimizer, changing, shard))]


def of_other_seeds() -> list[str]:
    """An update whose seed is that of the process; then what became of the edges."""
    model = learner()
    changing = Plasticity(BLIND["random"](), SHEET, seed=distributed.get_rank())
    said = error_of(lambda: changing.update(model, None, 2, *batch(changing.rule), LOSSES))
    return [said, digest([edge_keys(model.graph)])]


def error_of(call: Callable[[], object]) -> str:
    """The error that a call raises, or nothing."""
    try:
        call()
    except (RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def work(rank: int, folder: str) -> None:
    """One of four processes: all experiments, written to a file of its own."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"
    size = max(SIZES)
    store = distributed.FileStore(f"{folder}/store", size)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
    pairs = [distributed.new_group([0, 1]), distributed.new_group([2, 3])]
    groups = {2: pairs[rank // 2], 4: distributed.group.WORLD}
    told: dict[str, Any] = {str(n): lives(n, group) for n, group in groups.items()}
    told |= {"forgetful": forgetful(groups[4]), "seeds": of_other_seeds()}
    torch.save(told, f"{folder}/{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()
