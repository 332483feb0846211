"""Whether a network that learned two formulas has become two networks."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from graphcolumns.analysis.connectome import find_communities
from graphcolumns.analysis.connectome.nulls import rewire_within_lengths
from graphcolumns.data import AnyDataset
from graphcolumns.data.metrics import r2_per_target
from graphcolumns.data.two_formulas import FORMULA_INPUTS
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.layered_columns import LayeredColumns
from graphcolumns.placement import SwapColumns, wire_cost
from graphcolumns.random.counter import derive
from graphcolumns.studies.formula_paths import FormulaPaths, formula_paths
from graphcolumns.studies.study_run import StudyRun

THRESHOLDS = 200  # quantiles of the weights that are tried
ROUNDS = 20  # of swaps after training, at most


class PrunedNetwork(NamedTuple):
    """What is left of a network without its small weights.

    Attributes:
        model: Model whose small and useless weights are 0.
        threshold: Largest weight that was set to 0.
        graph: Edges that are left, all on a path from an input to an output.
        weight: Size of their weights, ``[E]``.
        paths: Paths along them.
    """

    model: LayeredColumns
    threshold: float
    graph: ColumnGraph
    weight: NDArray[np.float64]
    paths: FormulaPaths


def formula_split(run: StudyRun, tolerance: float = 0.01, nulls: int = 20) -> dict[str, float]:
    r"""Cross-talk, modularity, connection cost and size of a pruned network of two formulas.

    Weights up to the largest threshold are pruned with which the mean :math:`R^2` of both formulas
    on the training samples falls by ``tolerance`` at most. Edges that are then on no path from an
    input to an output go too.

    Args:
        run: Run of a ``LayeredColumns`` on ``two_formulas``.
        tolerance: Loss of :math:`R^2` that pruning may cost.
        nulls: Number of null graphs, which keep the degree of every column and the layers.

    Returns:
        ``r2``, of held-out samples, and ``pruned_r2``; ``cross_talk``, the share of paths between
        inputs and outputs of different formulas, of the ``pruned`` network, and
        ``full_cross_talk`` of the trained one; ``shared_columns``, the hidden columns with paths of
        both formulas; ``modularity`` (Louvain), ``null_modularity``, their difference
        ``excess_modularity``, and ``planted_modularity`` of the partition by formula;
        ``weights`` and ``hidden_columns`` left, their ``weight_sum``, ``wire`` (the sum of
        :math:`|w| d`), ``mean_wire`` (that per weight), and ``swapped_mean_wire``, the same after
        swaps that save wire.

    Raises:
        TypeError: A model that is no ``LayeredColumns``.
        ValueError: A trained network with an output that no input reaches.
    """
    model = run.model
    if not isinstance(model, LayeredColumns):
        raise TypeError(
            f"the model must be a LayeredColumns. Got {type(model).__name__}; take "
            "model=layered_columns."
        )
    found = prune_network(model, run.data, tolerance)
    whole = network_paths(model, model.graph, model.edges.weight)
    wire = _wire(found, run.geometry)
    return {
        "r2": held_out_r2(model, run.data, "test"),
        "pruned_r2": held_out_r2(found.model, run.data, "test"),
        "threshold": found.threshold,
        "cross_talk": found.paths.cross_talk,
        "full_cross_talk": whole.cross_talk,
        "shared_columns": float(_shared(found).sum()),
        "weights": float(found.graph.num_edges),
        "hidden_columns": float(hidden_columns(found).sum()),
        "weight_sum": float(found.weight.sum()),
        **wire,
        **_modularity(found, nulls),
    }


def prune_network(model: LayeredColumns, data: AnyDataset, tolerance: float) -> PrunedNetwork:
    """The network without its small weights, see ``formula_split``.

    Args:
        model: Trained model; not changed.
        data: Data set whose training half decides.
        tolerance: Loss of R^2 that pruning may cost.
    """
    weight = model.edges.weight.detach()
    kept = held_out_r2(model, data, "train") - tolerance
    tried = torch.quantile(weight.abs().double(), torch.linspace(1, 0, THRESHOLDS).double())
    pruned, threshold = model, 0.0
    for each in tried.tolist():
        candidate = with_weights(model, weight * (weight.abs() > each))
        if held_out_r2(candidate, data, "train") >= kept:
            pruned, threshold = candidate, each
            break
    useful = _useful(pruned)
    pruned = with_weights(model, pruned.edges.weight.detach() * useful)
    graph = model.graph.to("cpu")
    edges = graph.edge_index[:, useful]
    left = ColumnGraph.from_edge_index(edges, graph.num_columns)
    # In the order of that graph, which sorts edges by target and source as this one does.
    size = pruned.edges.weight.detach().abs()[useful]
    return PrunedNetwork(
        pruned, threshold, left, size.double().numpy(), network_paths(model, left, size)
    )


def network_paths(model: LayeredColumns, graph: ColumnGraph, weight: Tensor) -> FormulaPaths:
    """The paths of a network of two formulas.

    Args:
        model: Model, which says what its inputs and outputs are.
        graph: Edges.
        weight: Weight of every edge, ``[E]``.
    """
    ends = model.inputs_at.numpy(), model.outputs_at.numpy()
    return formula_paths(graph, weight.detach().double().numpy(), *ends, FORMULA_INPUTS)


@torch.no_grad()
def held_out_r2(model: nn.Module, data: AnyDataset, half: str) -> float:
    """Mean R^2 of the targets on a half of the samples.

    Args:
        model: Model.
        data: Data set.
        half: ``"train"`` or ``"test"``.
    """
    inputs, targets = data.batch(half, torch.arange(data.size(half)))
    return float(r2_per_target(model(inputs).prediction, targets).mean())


def with_weights(model: LayeredColumns, weight: Tensor) -> LayeredColumns:
    """A copy of a model with other weights.

    Args:
        model: Model; not changed.
        weight: Weight of every edge, ``[E]``.
    """
    copied = deepcopy(model)
    with torch.no_grad():
        copied.edges.weight.copy_(weight)
    return copied


def hidden_columns(found: PrunedNetwork) -> NDArray[np.bool_]:
    """Whether each column is hidden and on a path, ``[N]``."""
    on_path = found.paths.through_column.sum((1, 2)) > 0
    return np.asarray(on_path & found.model.hidden[:, 0, 0].numpy())


def _useful(model: LayeredColumns) -> Tensor:
    """Whether each edge is on a path from an input to an output, ``[E]``."""
    try:
        paths = network_paths(model, model.graph, model.edges.weight)
    except ValueError:
        return model.edges.weight.detach() != 0
    return torch.from_numpy(paths.through_edge.sum((1, 2)) > 0)


def _shared(found: PrunedNetwork, least: float = 0.05) -> NDArray[np.bool_]:
    """Hidden columns of whose paths at least this share is not of the formula they serve most."""
    through = found.paths.through_column
    total = through.sum((1, 2))
    own = np.einsum("nkk->nk", through).max(1)
    return np.asarray(hidden_columns(found) & (own < (1 - least) * total))


def _wire(found: PrunedNetwork, geometry: Geometry) -> Mapping[str, float]:
    """Wire of a pruned network as it is placed, and after further swaps."""
    weight = torch.from_numpy(found.weight)
    swaps, now = SwapColumns(top=geometry.num_columns), geometry
    for _ in range(ROUNDS):
        slot = swaps(found.graph, now, weight)
        if torch.equal(slot, torch.arange(len(slot))):
            break
        now = now.permute(slot)
    total = max(float(weight.sum()), 1e-12)
    wire, swapped = (wire_cost(found.graph, g, weight=weight) for g in (geometry, now))
    return {"wire": wire, "mean_wire": wire / total, "swapped_mean_wire": swapped / total}


def _modularity(found: PrunedNetwork, nulls: int) -> Mapping[str, float]:
    """Modularity of the columns that are left, of the planted partition, and of the null."""
    graph, weight = found.graph, torch.from_numpy(found.weight)
    q = find_communities(graph, weight).modularity
    drawn = (
        rewire_within_lengths(graph, weight, _layers_only(found.model), derive(0, "null", k), [0.5])
        for k in range(nulls)
    )
    null = float(np.mean([find_communities(d.graph, d.weights).modularity for d in drawn]))
    return {
        "modularity": q,
        "null_modularity": null,
        "excess_modularity": q - null,
        "planted_modularity": _planted(found),
    }


def _layers_only(model: LayeredColumns) -> Geometry:
    """Places that differ between layers only: edges of length 1 lead to the next layer."""
    areas: Any = model.positions.start.areas
    return Geometry(torch.stack([areas.float(), torch.zeros(len(areas))], dim=1), areas=areas)


def _planted(found: PrunedNetwork) -> float:
    """Modularity of two parts, each with the columns that serve one formula most."""
    import networkx

    network = networkx.Graph()
    source, target = found.graph.edge_index.tolist()
    network.add_weighted_edges_from(zip(source, target, found.weight.tolist(), strict=True))
    through = found.paths.through_column
    serves = (through.sum(1) + through.sum(2)).argmax(1)
    parts = [{n for n in network if serves[n] == k} for k in range(through.shape[1])]
    return float(networkx.community.modularity(network, [p for p in parts if p]))
