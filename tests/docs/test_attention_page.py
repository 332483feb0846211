"""The programs of docs/measurements/attention_phenomena.md run, and their controls are controls."""

import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "docs/measurements"


@pytest.fixture(scope="module")
def page():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        import attention_phenomena

        yield attention_phenomena
        for name in ("phenomena", "network", "figure"):
            sys.modules.pop(f"attention_{name}", None)


@pytest.fixture(scope="module")
def rows(page):
    plan = page.Plan(seeds=(0,), steps=2, train=16, test=16)
    return {name: part(plan) for name, part in page.PARTS.items()}


def test_the_table_and_the_figure_are_drawn_from_the_raw_data(page, rows, tmp_path, capsys):
    page.write([r for part in rows.values() for r in part], tmp_path / "rows.csv")
    read = page.attention_figure.read(tmp_path / "rows.csv")
    page.attention_figure.show(read)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) > 30
    # Every effect has values on both sides, but those of units that may be missing.
    assert [x for x in shown if "| - |" in x and "units" not in x and "share" not in x] == []
    page.attention_figure.draw(read, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_without_gates_the_instruction_changes_nothing(page):
    model = page.network(4, 0, 0)
    images = torch.rand(3, 1, page.SIZE, page.SIZE, generator=torch.Generator().manual_seed(0))
    states = [page.states(model, images, torch.full((3,), cue))["hidden"] for cue in (0, 1)]
    assert torch.equal(*states)


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("layer", ["early", "late"])
def test_units_of_border_ownership_see_the_same_in_one_sweep(page, layer, direction):
    model = page.network(4, 2, 0)
    shown = page.border_ownership(size=page.SIZE)
    neurons = page.states(model, shown.images, torch.zeros(8, dtype=torch.long))[layer]
    rows, columns = page.inside(layer, direction)
    left, right = neurons[shown.direction == direction].view(2, 2, *neurons.shape[1:]).unbind(1)
    inside = [x[..., rows, :][..., columns] for x in (left, right)]
    assert inside[0].any()
    torch.testing.assert_close(*inside, rtol=0, atol=1e-6)
    # The rest of the images differs, and so do units there.
    assert not torch.allclose(left, right, atol=1e-3)


def test_a_scaled_curve_has_a_gain_and_keeps_its_width(page):
    curve = 1 + torch.linspace(-3, 3, page.ORIENTATIONS).square().neg().exp()
    found = page.compared(2 * curve, curve)
    assert float(found["log gain, mean curve"]) == pytest.approx(0.6931, abs=1e-4)
    assert float(found["log width, mean curve"]) == pytest.approx(0, abs=1e-4)
    assert float(found["log error, added over scaled"]) > 5
    assert float(page.compared(curve + 1, curve)["log error, added over scaled"]) < -5


def test_the_place_of_a_unit_is_the_one_where_it_is_tuned(page):
    """One unit that responds to the right place alone, twice as much if it is cued."""
    shown = page.gain_modulation(page.ORIENTATIONS, 2, "bar", size=page.SIZE)
    tuning = 1 + (shown.orientation * torch.pi / 90).cos()
    responses = tuning * (shown.place == 1) * (1 + (shown.cue == 1))
    curves = page.curves(responses[:, None])
    torch.testing.assert_close(curves[..., 1], 2 * curves[..., 0])
    expected = 1 + (torch.arange(page.ORIENTATIONS) * 2 * torch.pi / page.ORIENTATIONS).cos()
    torch.testing.assert_close(curves[0, :, 0, 0], expected, atol=1e-5, rtol=0)


def test_a_unit_that_prefers_a_side_has_an_index_and_agrees(page):
    """Responses 3 and 1 to the two sides under both contrasts: an index of one half."""
    responses = torch.tensor([3.0, 1.0]).expand(4, 2, 2)[..., None]
    found = {r["measure"]: r["value"] for r in page.preferred("arm", responses, 0)}
    assert found["index, side of the figure"] == pytest.approx(0.5)
    assert found["index, light or dark figure"] == pytest.approx(0)
    assert found["share that agrees"] == 1
