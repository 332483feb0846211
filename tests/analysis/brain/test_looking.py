"""Attention, receptive fields and rankings of encoders whose answers are known."""

import math
import re

import pytest
import torch
from torch import nn

from graphcolumns.analysis.brain import (
    attention_figure,
    attention_maps,
    field_figure,
    gradient_maps,
    mean_map_figure,
    query_fields,
    query_names,
    rank_images,
    top_images_figure,
)
from graphcolumns.analysis.brain.attention_maps import _spans
from graphcolumns.analysis.brain.token_maps import on_grid
from graphcolumns.data.brain import routed_responses, routing_of
from graphcolumns.geometry import Regions
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder import brain_encoder, linear_encoder
from graphcolumns.nn.protocols import ModelOutput

MASKS = torch.tensor([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0]]).bool()
REGIONS = Regions.from_masks({"V1": MASKS[0], "FFA": MASKS[1]})


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return brain_encoder(5, regions=REGIONS, tokens=(10, 8), decoder={"heads": 2, "hidden": 4})


def bump(centre, size, shape=(31, 31)):
    rows, columns = torch.meshgrid(*map(torch.arange, shape), indexing="ij")
    gap = (rows - centre[0]) ** 2 / size[0] ** 2 + (columns - centre[1]) ** 2 / size[1] ** 2
    return torch.exp(-gap.double() / 2)


# Receptive fields.


def test_centre_and_size_worked_by_hand():
    # Two tokens of a row of four with weights 1 and 3: the centre is 3/4 of the way.
    maps = torch.tensor([[[0, 1.0, 3.0, 0], [0, 0, 0, 0]]])
    found = query_fields(maps, width_degrees=8)
    assert found.centre.tolist() == [[0, 1.75]]
    assert found.deviation[0].tolist() == pytest.approx([0, math.sqrt(3 / 16)])
    assert found.size.item() == pytest.approx(math.sqrt(3 / 32))
    # Two degrees per token; the middle of the image is at row 1/2, column 3/2.
    assert found.centre_degrees.tolist() == [[0.5, 1.0]]
    assert found.size_degrees.item() == pytest.approx(2 * math.sqrt(3 / 32))
    assert found.eccentricity.item() == pytest.approx(math.hypot(0.5, 1))
    assert found.polar_angle.item() == pytest.approx(math.degrees(math.atan2(1, 0.5)))


def test_a_gaussian_is_recovered():
    centres, sizes = [(15, 12.3), (10.6, 18)], [(2.0, 2.0), (1.5, 3.0)]
    maps = torch.stack([bump(c, s) for c, s in zip(centres, sizes, strict=True)])
    found = query_fields(7 * maps)
    assert torch.allclose(found.centre, torch.tensor(centres).double(), atol=1e-5)
    assert torch.allclose(found.deviation, torch.tensor(sizes).double(), atol=1e-3)
    assert found.size.tolist() == pytest.approx([2, math.sqrt((1.5**2 + 3**2) / 2)], abs=1e-3)
    assert found.size_degrees.isnan().all()


def test_a_floor_is_taken_away():
    on_floor = 0.2 + bump((15, 10), (2, 2))
    even = query_fields(torch.ones(1, 31, 31))
    assert even.size.item() == pytest.approx(math.sqrt((2 * 31**2 - 2) / 24))
    assert even.centre[0].tolist() == pytest.approx([15, 15])
    assert query_fields(on_floor[None]).size > 5
    for floor in (0.0, 0.5):
        found = query_fields(on_floor[None], floor=floor)
        assert found.size.item() == pytest.approx(2, abs=1e-2)
        assert found.centre[0].tolist() == pytest.approx([15, 10], abs=1e-2)


def test_a_map_without_weight_has_no_field():
    found = query_fields(torch.zeros(1, 3, 3), 10)
    assert all(bool(part.isnan().all()) for part in found)


@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        (torch.ones(2, 5, 3, 3), {}, "maps must be [R, Y, X], one per query. Got [2, 5, 3, 3]"),
        (-torch.ones(1, 3, 3), {}, "finite and 0 or above. Got other values."),
        (torch.ones(1, 3, 3), {"width_degrees": 0}, "width_degrees must be above 0. Got 0."),
        (torch.ones(1, 3, 3), {"floor": 1.0}, "quantile in [0, 1), or None. Got 1.0."),
    ],
)
def test_wrong_maps(maps, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        query_fields(maps, **options)


# Attention.


def test_attention_lies_on_the_grid_and_the_class_token_apart(encoder):
    inputs = torch.rand(7, 10, 8)
    found = attention_maps(encoder, inputs, REGIONS, batch_size=3)
    assert found.names == ("V1", "FFA", "rest")
    assert found.maps.shape == (3, 7, 3, 3)
    assert found.before.shape == (3, 7, 1)
    weights = encoder.attention(inputs)
    assert torch.allclose(found.before[..., 0], weights[..., 0], atol=1e-6)
    assert torch.allclose(found.maps[1, :, 1, 2], weights[1, :, 6], atol=1e-6)
    assert torch.equal(found.named("FFA"), found.maps[1])
    total = found.maps.sum((2, 3)) + found.before.sum(2)
    assert torch.allclose(total, torch.ones(3, 7), atol=1e-5)


def test_the_mean_is_taken_at_once_or_later(encoder):
    inputs = {"features": torch.rand(7, 10, 8)}
    every = attention_maps(encoder, inputs, REGIONS, queries=["rest", "V1"], batch_size=2)
    mean = attention_maps(encoder, inputs, queries=[2, 0], batch_size=7, average=True)
    assert every.names == ("rest", "V1")
    assert mean.names == ("query 2", "query 0")
    assert mean.maps.shape == (2, 1, 3, 3)
    assert torch.allclose(mean.maps[:, 0], every.mean(), atol=1e-6)


def test_queries_are_computed_in_parts():
    for chosen in ([0, 1, 2, 3, 4], [4, 0, 1], [2, 2, 3]):
        spans = _spans(chosen, 2)
        assert all(span.stop - span.start <= 2 for span, _ in spans)
        assert [span.start + at for span, keep in spans for at in keep] == chosen


def test_names_of_queries():
    hemisphere = torch.tensor([0, 0, 1, 1, 1])
    sides = Regions(MASKS, ("V1", "FFA"), hemisphere=hemisphere)
    options = {"tokens": (9, 8), "decoder": {"heads": 2}}
    two = brain_encoder(5, regions=sides, queries="hemispheres", **options)
    assert query_names(two, sides) == ("left", "right")
    assert query_names(two) == ("query 0", "query 1")
    each = brain_encoder(3, queries="vertices", **options)
    assert query_names(each) == ("vertex 0", "vertex 1", "vertex 2")
    assert query_names(brain_encoder(5, regions=sides, **options), sides)[2:] == ("rest",)
    families = Regions(MASKS, ("V1", "FFA"), ("early", "faces"))
    early = brain_encoder(5, regions=families, queries="early", **options)
    assert query_names(early, families) == ("V1", "rest")


def test_regions_with_the_same_vertices_keep_their_names():
    twice = Regions.from_masks({"a": MASKS[0], "b": MASKS[0], "c": ~MASKS[0]})
    model = brain_encoder(5, regions=twice, tokens=(9, 8), decoder={"heads": 2})
    assert query_names(model, twice) == ("a", "b", "c")


def test_what_has_no_attention_is_refused(encoder):
    tokens = torch.rand(2, 10, 8)
    with pytest.raises(TypeError, match=r"Got LinearEncoder; gradient_maps takes every model"):
        attention_maps(linear_encoder(5, tokens=(9, 8)), tokens)
    with pytest.raises(TypeError, match=r"Expected a graph 'readout' in model.graphs. Got 'graph'"):
        query_names(linear_encoder(5, tokens=(9, 8)))
    with pytest.raises(ValueError, match=r"names or positions below 3. Expected some of 'V1'"):
        attention_maps(encoder, tokens, REGIONS, queries=["V2"])
    with pytest.raises(ValueError, match=r"of the 5 vertices of the model. Got regions of 4"):
        attention_maps(encoder, tokens, Regions.from_masks({"a": torch.ones(4).bool()}))


def test_tokens_that_are_no_grid():
    with pytest.raises(ValueError, match=r"Got 12 tokens, which are no square"):
        on_grid(torch.ones(1, 1, 12), ("a",))
    with pytest.raises(ValueError, match=r"grid must have at most 12 tokens.* Got 4 x 4"):
        on_grid(torch.ones(1, 1, 12), ("a",), (4, 4))
    assert on_grid(torch.ones(1, 1, 12), ("a",), (2, 5)).before.shape == (1, 1, 2)


# Gradients.


class Linear(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, inputs):
        tokens = inputs["features"] if isinstance(inputs, dict) else inputs
        return ModelOutput(torch.einsum("bmf,vmf->bv", tokens.flatten(2), self.weight))


def test_gradients_of_a_linear_model_are_its_weights():
    weight = torch.randn(5, 9, 4, generator=torch.Generator().manual_seed(0))
    found = gradient_maps(Linear(weight), {"features": torch.rand(3, 9, 4)}, REGIONS, batch_size=2)
    assert found.names == ("V1", "FFA")
    assert found.maps.shape == (2, 3, 3, 3)
    expected = (weight[1] + weight[2]).norm(dim=1).reshape(3, 3)
    assert torch.allclose(found.named("FFA")[2], expected, atol=1e-6)


def test_gradients_of_images_lie_on_pixels():
    weight = torch.ones(5, 2, 12)
    found = gradient_maps(Linear(weight), torch.rand(3, 2, 4, 3), REGIONS)
    assert found.maps.shape == (2, 3, 4, 3)
    # Two vertices with weights of 1, two channels.
    assert torch.allclose(found.maps, torch.full_like(found.maps, math.sqrt(8)))


def test_gradients_that_do_not_exist(encoder):
    class Constant(nn.Module):
        def forward(self, inputs):
            return ModelOutput(torch.zeros(len(inputs), 5))

    with pytest.raises(ValueError, match=r"a gradient must lead from predictions to the tokens"):
        gradient_maps(Constant(), torch.rand(2, 9, 4), REGIONS)
    with pytest.raises(KeyError, match=r"name must be one of 'a', 'b'. Got None"):
        gradient_maps(Constant(), {"a": torch.rand(2, 9), "b": torch.rand(2, 9)}, REGIONS)
    with pytest.raises(ValueError, match=r"regions must be of the vertices that are predicted"):
        gradient_maps(encoder, torch.rand(2, 10, 8), REGIONS.subset(torch.arange(4)))


# Known routing: a model that was given the truth.


class Routed(nn.Module):
    """Attends where the simulation reads; the graph of its read-out names the queries."""

    def __init__(self, routing):
        super().__init__()
        edges = routing.regions.masks.nonzero().t()
        graph = ColumnGraph.from_edge_index(
            edges, routing.regions.num_vertices, routing.regions.num_regions
        )
        self.graphs, self.routing = {"readout": graph}, routing

    def attention(self, inputs, queries=None):
        fields = self.routing.fields / self.routing.fields.sum(1, keepdim=True).clamp(min=1e-9)
        return fields[queries or slice(None), None].expand(-1, len(inputs["features"]), -1)


def test_fields_of_simulated_regions_are_recovered():
    options = {"train_count": 4, "test_count": 4, "size": 15, "field": 1.2}
    routing = routing_of(**options)
    data = routed_responses(**options)
    found = attention_maps(Routed(routing), data.test_inputs, routing.regions)
    assert found.names == routing.regions.names
    fields = query_fields(found.mean())
    inside = ((routing.centres > 4) & (routing.centres < 10)).all(1)
    assert inside.any()
    assert torch.allclose(fields.centre[inside].float(), routing.centres[inside], atol=0.02)
    assert fields.size[inside].tolist() == pytest.approx([1.2] * int(inside.sum()), abs=0.02)


# Rankings.


def test_images_are_ranked_by_the_sum_over_the_union_of_regions():
    prediction = torch.tensor(
        [[1.0, 1, 0, 9, 9], [0, 2, 0, 9, 9], [0, 0, 4, 0, 0], [2, 0, 0, 0, 0]]
    )
    found = rank_images(prediction, REGIONS, ["V1", "FFA"], ids=torch.tensor([7, 5, 3, 1]))
    # Vertex 1 is in both and counts once; samples 7, 5 and 1 are equal.
    assert found.samples.tolist() == [3, 7, 5, 1]
    assert found.positions.tolist() == [2, 0, 1, 3]
    assert found.response.tolist() == [4, 2, 2, 2]
    assert found.vertices == 3
    assert rank_images(prediction, REGIONS, "V1").samples.tolist() == [0, 1, 3, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chosen": []}, "chosen must name a region, one of 'V1', 'FFA'. Got none."),
        ({"chosen": "V2"}, "name must be one of 'V1', 'FFA'. Got 'V2'. Did you mean 'V1'?"),
        ({"prediction": torch.ones(2, 4)}, "prediction must be [samples, 5], the vertices"),
        ({"prediction": torch.full((2, 5), torch.nan)}, "prediction must be finite in the regions"),
        ({"ids": torch.arange(3)}, "ids must be int64, one per sample, [2]. Got torch.int64, [3]."),
    ],
)
def test_wrong_rankings(change, message):
    given = {"prediction": torch.ones(2, 5), "regions": REGIONS, "chosen": "V1"} | change
    with pytest.raises(ValueError, match=re.escape(message)):
        rank_images(**given)


# Figures.


def test_images_must_be_readable_by_position():
    ranking = rank_images(torch.rand(7, 5), REGIONS, "V1")
    with pytest.raises(TypeError, match=r"Got list; pass lambda k: images\[ids\[k\]\]"):
        top_images_figure(ranking, [torch.rand(3, 4, 4)] * 7)


def test_figures_are_drawn(encoder, tmp_path):
    inputs, images = torch.rand(7, 10, 8), torch.rand(7, 3, 12, 12)
    found = attention_maps(encoder, inputs, REGIONS)
    fields = query_fields(found.mean(), 8.4)
    ranking = rank_images(torch.rand(7, 5), REGIONS, "V1")
    figures = {
        "alone": attention_figure(found),
        "overlay": attention_figure(found, images, queries=["FFA"], samples=[6, 2]),
        "mean": mean_map_figure(found),
        "fields": field_figure(fields, found.names, (3, 3)),
        "many": field_figure(query_fields(torch.rand(40, 3, 3)), ["a"] * 40, (3, 3)),
        "top": top_images_figure(ranking, images - 0.5, k=5),
        "read": top_images_figure(ranking, lambda position: images[position], k=20),
    }
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
    titles = [axes.get_title() for axes in figures["overlay"].axes if axes.get_title()]
    assert titles == ["sample 6", "sample 2", "mean"]
    assert figures["top"].axes[0].get_title().startswith(f"1. sample {int(ranking.samples[0])}\n")


def test_figures_of_other_samples(encoder):
    found = attention_maps(encoder, torch.rand(2, 10, 8), REGIONS)
    with pytest.raises(ValueError, match=r"samples must be positions below 2.* Got \[2\]"):
        attention_figure(found, samples=[0, 2])
    with pytest.raises(ValueError, match=r"images must be those of the maps. Expected 2"):
        attention_figure(found, torch.rand(3, 3, 8, 8))
    with pytest.raises(ValueError, match=r"an image must be .* Got .2, 8, 8.; choose channels"):
        attention_figure(found, torch.rand(2, 2, 8, 8))
    with pytest.raises(ValueError, match=r"images must be those of the ranking. Expected 2"):
        top_images_figure(rank_images(torch.rand(2, 5), REGIONS, "V1"), torch.rand(3, 3, 8, 8))
    with pytest.raises(ValueError, match=r"names must be one per query, 3. Got 1"):
        field_figure(query_fields(found.mean()), ["a"], (3, 3))
