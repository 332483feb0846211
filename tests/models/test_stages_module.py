"""Staged columnformers as modules, their sizes, and parts that do not fit."""

import copy
import pickle

import pytest
import torch
from torch import nn

from geometries import grid
from graphcolumns import connect
from graphcolumns.models.staged_columnformer import StagedColumnformer
from graphcolumns.models.staged_columnformer.build import topomoe_tiny
from graphcolumns.models.staged_columnformer.stage import Stage
from graphcolumns.nn import MeanReadout, PatchEmbed
from tests.models.support.variants import SHEETS, STAGED, gradients, make_staged


@pytest.fixture(params=STAGED)
def options(request) -> dict:
    return STAGED[request.param]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 1, 8, 8)


class TestModule:
    def test_deepcopy_and_pickle(self, options, images):
        model = make_staged(**options).eval()
        expected = model(images).prediction
        for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(copied(images).prediction, expected)
            assert copied.stages[1].grid is copied.stages[1].pool.grid

    def test_state_dict(self, options, images):
        model, other = make_staged(**options).eval(), make_staged(**options).eval()
        for parameter in other.parameters():
            nn.init.normal_(parameter)
        other.load_state_dict(model.state_dict())
        assert torch.equal(other(images).prediction, model(images).prediction)

    def test_precisions(self, options, images):
        model = make_staged(**options).eval()
        single = model(images).prediction
        with torch.autocast("cpu", torch.bfloat16):
            half = model(images).prediction
        half.float().sum().backward()
        assert torch.allclose(half.float(), single, atol=0.2)
        double = model.double()(images.double()).prediction
        assert torch.allclose(double.float(), single, atol=1e-5)

    def test_compile(self, images):
        torch.compiler.reset()
        model = make_staged(
            SHEETS[1:],
            image_size=4,
            depths=(1, 2),
            cost={"memory": "recompute", "wiring": "distance"},
        )
        run = torch.compile(model, fullgraph=True, backend="aot_eager")
        images = images[:, :, :4, :4]
        expected, found = model(images), run(images)
        assert torch.allclose(found.prediction, expected.prediction, atol=1e-6)
        assert torch.allclose(found.cost, expected.cost, atol=1e-6)
        found.prediction.sum().backward()

    def test_export(self, images):
        model = make_staged(static_pool=True).eval()
        program = torch.export.export(model, (images,))
        found = program.module()(images).prediction
        assert torch.allclose(found, model(images).prediction, atol=1e-6)

    def test_recomputation_is_bit_for_bit(self, images):
        results = []
        for memory in ("store", "recompute"):
            model = make_staged(
                cost={"memory": memory}, weights={"dropout": 0.3}, attention={"edge_dropout": 0.3}
            )
            torch.manual_seed(0)
            model(images).prediction.square().sum().backward()
            results.append(gradients(model))
        stored, recomputed = results
        assert all(torch.equal(stored[name], recomputed[name]) for name in stored)


class TestTopoMoE:
    @pytest.mark.parametrize("stages", [1, 2, 3])
    def test_small(self, stages):
        """Counted from the formulas of the source, block by block."""
        model = topomoe_tiny(SHEETS[:stages], image_size=128, channels=12, heads=2, num_classes=7)
        c, blocks = 12, {1: (6,), 2: (3, 3), 3: (2, 2, 2)}[stages]
        expected = 3 * 256 * c + c + 64 * c + 2 * c + 7 * c + 7  # patches, positions, read-out
        for number, (depth, columns) in enumerate(zip(blocks, (64, 16, 4), strict=False)):
            experts = 4**number
            mlp = experts * (8 * c * c + 5 * c)
            expected += depth * (4 * c + 4 * (c * c + c) + mlp)
            expected += (columns * c + 1 + experts * c + 1) if number else 0
        assert sum(parameter.numel() for parameter in model.parameters()) == expected
        assert [len(stage.exchanges) for stage in model.stages] == [
            depth + bool(number) for number, depth in enumerate(blocks)
        ]

    def test_one_stage_has_the_size_of_the_transformer(self, monkeypatch):
        monkeypatch.setattr(nn.init, "trunc_normal_", lambda tensor, *_, **__: tensor)
        model = topomoe_tiny([grid.stack([8])])
        assert sum(parameter.numel() for parameter in model.parameters()) == 11_005_924

    def test_four_stages_are_not_tiny(self):
        with pytest.raises(ValueError, match="TopoMoE tiny has 1, 2 or 3 stages, got 4"):
            topomoe_tiny([SHEETS[0]] * 4)


POOL = connect.bipartite(SHEETS[0], SHEETS[1], 4)
UNFIT = {
    "depths": ({"depths": (2, 2)}, "depths must have 3 entries here, got 2"),
    "experts": ({"experts": (1, 2)}, "experts must have 3 entries here, got 2"),
    "pools": ({"pools": [POOL]}, "pools must have 2 entries here, got 1"),
    "weights": (
        {"weights": {"attention": "mixture"}},
        "weights.attention must be one of .*'lowrank'.* Got 'mixture'",
    ),
    "heads": ({"heads": 3}, "heads must divide channels"),
    "no block": ({"depths": (2, 0, 2)}, "depth must be at least 1, got 0"),
    "image": ({"image_size": 6}, "stage 0 must attend to 36, got 64"),
    "pool from another sheet": ({"pools": [POOL, POOL]}, "for its 4 columns"),
    "wiring": ({"cost": {"wiring": "cubic"}}, "wiring must be one of .*'gaussian'.* Got 'cubic'"),
    "memory": ({"cost": {"memory": "less"}}, "memory must be one of .*'recompute'.* Got 'less'"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_parts_that_do_not_fit(name):
    changes, message = UNFIT[name]
    with pytest.raises(ValueError, match=message):
        make_staged(**changes)


def test_a_stage_is_pooled_or_not():
    stage = make_staged().stages[1]
    with pytest.raises(ValueError, match="needs pool, cross and pool_graph, the first stage none"):
        Stage(stage.graph, list(stage.columns), pool=stage.pool)
    with pytest.raises(ValueError, match=r"stage 0 must attend to 16, got 64 \(pooled\)"):
        StagedColumnformer(PatchEmbed(4, 1, 16), [stage], MeanReadout(16, 5))
