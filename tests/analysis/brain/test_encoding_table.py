import csv
import io
import math

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from graphcolumns.analysis.brain import encoding_table
from graphcolumns.data import Regression
from graphcolumns.geometry import Regions

N, V = 40, 12


@pytest.fixture
def measured():
    draws = torch.Generator().manual_seed(0)
    targets = torch.randn(N, V, generator=draws)
    good = targets + 0.5 * torch.randn(N, V, generator=draws)
    bad = torch.randn(N, V, generator=draws)
    return targets, {"good": good, "bad": bad}


@pytest.fixture
def regions():
    masks = torch.zeros(4, V, dtype=torch.bool)
    masks[0, :4] = masks[1, 6:9] = masks[2, 2:6] = masks[3, 9:] = True
    side = (torch.arange(V) >= 6).long()
    names = ("V1 left", "V1 right", "FFA left", "FFA right")
    return Regions(masks, names, ("visual", "visual", "faces", "faces"), side)


def test_a_table_by_hand():
    """Correlations 1, sqrt(3)/2 and 1, ceilings 1/2, 1 and 0: shares 2, 3/4 and none."""
    targets = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [2.0, 1.0, 2.0]])
    predicted = torch.tensor([0.0, 1.0, 2.0])[:, None].repeat(1, 3)
    table = encoding_table({"m": predicted}, targets, noise_ceiling=torch.tensor([0.5, 1.0, 0.0]))
    assert table.rows[0] == ("all", "all", 3, 1, 0)
    expected = [1, (2 + math.sqrt(0.75)) / 3, 2.75 / 2, 2.75 / 2, 1.75 / 2, 1.75 / 2]
    np.testing.assert_allclose(table.values[0, 0], expected)
    assert table.to_markdown() == (
        "| region | kind | vertices | ceiling 0 | constant | m: median r | m: median r²/NC | "
        "m: median r²/NC clipped |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| all | all | 3 | 1 | 0 | 1.000 | 1.375 | 0.875 |\n"
    )


def test_rows_are_all_hemispheres_families_and_regions(measured, regions):
    targets, predictions = measured
    table = encoding_table(predictions, targets, regions=regions)
    assert [(row.kind, row.name, row.vertices) for row in table.rows] == [
        ("all", "all", 12),
        ("hemisphere", "left", 6),
        ("hemisphere", "right", 6),
        ("family", "visual", 7),
        ("family", "faces", 7),
        ("region", "V1 left", 4),
        ("region", "V1 right", 3),
        ("region", "FFA left", 4),
        ("region", "FFA right", 3),
    ]
    r = pearsonr(predictions["good"], targets, axis=0).statistic
    assert table.value("FFA left", "good", "mean_r") == pytest.approx(r[2:6].mean(), abs=1e-6)
    assert table.value("all", "good", "median_r") == pytest.approx(np.median(r), abs=1e-6)
    # No ceiling is known.
    assert math.isnan(table.value("all", "good", "median_ceiling_fraction"))
    assert "-" in table.to_markdown()


def test_the_task_says_mask_ceilings_and_regions(measured, regions):
    targets, predictions = measured
    mask = torch.arange(V) != 0
    ceiling = torch.full((V,), 0.5)
    ceiling[[1, 9]] = 0.0
    task = Regression(mask=mask, noise_ceiling=ceiling, regions=regions)
    table = encoding_table(predictions, targets, task)
    counts = {row.name: (row.vertices, row.zero_ceiling) for row in table.rows}
    assert counts["all"] == (11, 2)
    assert counts["V1 left"] == (3, 1)
    assert counts["FFA right"] == (3, 1)
    whole = encoding_table(predictions, targets, task, mask=torch.ones(V, dtype=torch.bool))
    assert whole.rows[0].vertices == V
    first = targets.clone()
    first[:, 0] = math.nan
    assert encoding_table(predictions, first, task).values.equal(table.values)


def test_a_null_model_is_near_zero_and_a_good_one_near_its_share(measured):
    targets, predictions = measured
    table = encoding_table(predictions, targets, noise_ceiling=torch.ones(V))
    assert abs(table.value("all", "bad", "mean_r")) < 0.15
    assert table.value("all", "good", "median_ceiling_fraction") == pytest.approx(0.8, abs=0.1)


def test_constant_responses_are_counted(measured):
    targets, predictions = measured
    targets[:, 3] = 1.0
    table = encoding_table(predictions, targets, noise_ceiling=torch.ones(V))
    assert table.rows[0].undefined == 1
    assert math.isfinite(table.value("all", "good", "mean_r"))


def test_csv_has_a_line_per_row_and_model(measured, regions, tmp_path):
    targets, predictions = measured
    table = encoding_table(predictions, targets, regions=regions)
    path = table.to_csv(tmp_path / "scores.csv")
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert len(rows) == 9 * 2
    assert rows[1]["model"] == "bad"
    assert float(rows[0]["median_r"]) == table.value("all", "good", "median_r")
    assert rows[0]["mean_ceiling_fraction"] == ""
    assert [x.name for x in tmp_path.iterdir()] == ["scores.csv"]
    with pytest.raises(FileExistsError, match=r"scores.csv must not exist. Pass overwrite=True"):
        table.to_csv(path)
    table.to_csv(path, overwrite=True)


def test_a_mask_may_leave_a_region_without_vertices(measured, regions):
    targets, predictions = measured
    mask = torch.arange(V) < 9
    table = encoding_table(predictions, targets, regions=regions, mask=mask)
    assert "FFA right" not in [row.name for row in table.rows]


def test_an_unknown_name_is_an_error(measured):
    targets, predictions = measured
    table = encoding_table(predictions, targets)
    with pytest.raises(ValueError, match=r"name must be one of 'all'. Got 'V9'."):
        table.value("V9", "good", "mean_r")
    with pytest.raises(ValueError, match=r"model must be one of 'good', 'bad'. Got 'm'."):
        table.value("all", "m", "mean_r")
    with pytest.raises(ValueError, match=r"column must be one of 'median_r'"):
        table.to_markdown(["r"])


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (
            torch.rand(V, N),
            r"predictions\['m'\] must have the shape of targets, \[40, 12\]: 40 "
            r"samples of 12 vertices. Got \[12, 40\]; this is transposed: "
            r"pass predictions\['m'\].T.",
        ),
        (torch.rand(N, 6), "6 vertices where the targets have 12: join hemispheres"),
        (torch.rand(30, V), "30 samples: predict the samples of the targets"),
        (torch.rand(N, V, 1), "pass model"),
        (torch.rand(3, 5), "predict the same samples and vertices"),
    ],
)
def test_shapes_that_do_not_fit_are_explained(predicted, message):
    with pytest.raises(ValueError, match=message):
        encoding_table({"m": predicted}, torch.rand(N, V))


def test_other_wrong_input(measured, regions):
    targets, predictions = measured
    with pytest.raises(ValueError, match=r"mapping from names of models"):
        encoding_table(predictions["good"], targets)
    with pytest.raises(ValueError, match=r"regions must be of the 11 vertices of targets. Got"):
        encoding_table({"m": targets[:, :11]}, targets[:, :11], regions=regions)
    with pytest.raises(ValueError, match=r"targets must be \[samples, vertices\]"):
        encoding_table(predictions, targets[0])
    with pytest.raises(ValueError, match=r"mask must be bool, one per vertex, \[12\]"):
        encoding_table(predictions, targets, mask=torch.ones(3).bool())
    with pytest.raises(TypeError, match=r"floating tensor. Got torch.int64"):
        encoding_table({"m": targets.long()}, targets)
