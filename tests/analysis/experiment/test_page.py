"""The table and the figure, from rows whose means are known."""

import pytest

from graphcolumns.analysis.experiment import figure, page, read_experiment
from graphcolumns.analysis.experiment.plan import final_runs, tuning_runs
from graphcolumns.analysis.experiment.points import points
from tests.analysis.experiment.support.definitions import TINY, scored, written

EDGES = {"1%": 10, "2%": 20, "all": 900}
# Accuracy of seeds 0, 1, 2 in the variants 1% and 2%.
PLAIN = {"1%": (0.50, 0.60, 0.70), "2%": (0.8, 0.8, 0.8)}
RICH = {"1%": (0.61, 0.72, 0.83), "2%": (0.9, 0.7, 0.8)}  # 11, 12, 13 points more; 10, -10, 0
WHOLE = {"all": (0.9, 0.9, 0.9)}


def results(experiment):
    rows = [scored(r, validation_accuracy=0.1 * r.trial) for r in tuning_runs(experiment)]
    known = {"plain": PLAIN, "rich": RICH, "whole": WHOLE}
    for run in final_runs(experiment, rows):
        accuracy = known[run.arm][run.variant][run.seed]
        more = {"edges": EDGES[run.variant], "wiring_length": 2.0, "train_seconds": 1.0}
        rows.append(scored(run, test_accuracy=accuracy, **more))
    return rows


@pytest.fixture
def experiment(tmp_path):
    return read_experiment(written(tmp_path))


def test_points(experiment):
    found = {(p.arm, p.variant): p for p in points(experiment, results(experiment))}
    assert list(found) == [
        ("plain", "1%"), ("plain", "2%"), ("rich", "1%"), ("rich", "2%"), ("whole", "all")
    ]  # fmt: skip
    assert found["plain", "1%"].y.mean == pytest.approx(0.6)
    assert found["plain", "1%"].x == 10
    assert found["plain", "1%"].difference is None
    # 12 +- 4.3027 * 1 / sqrt(3) points, worked by hand: 9.516 to 14.484.
    better = found["rich", "1%"].difference
    assert better == pytest.approx((0.12, 0.09516, 0.14484, 3), abs=1e-5)
    assert found["rich", "2%"].difference.mean == pytest.approx(0)
    assert found["whole", "all"].difference is None


def test_page(experiment):
    text = page(experiment, results(experiment))
    lines = text.splitlines()
    assert lines[0] == "# tiny"
    assert "**Claim.** more is better" in lines
    assert "**It would be false if.** less is" in lines
    head = "| arm | variant | test accuracy (%) | difference to plain | edges | wiring length |"
    assert any(line.startswith(head + " train seconds | churn | seeds |") for line in lines)
    row = "| rich | 1% | 72.0 [44.7, 99.3] | **+12.0 [+9.5, +14.5]** | 10 | 2 | 1 | - | 3 |"
    assert row in lines
    assert any("| rich | 2% |" in line and "| +0.0 [-24.8, +24.8] |" in line for line in lines)
    assert "| plain | 2% | `lr=0.4` | 30.0 % | from 0.0 to 30.0 % | 0/4 |" in lines
    assert "failed:" not in text


def test_failed_runs_are_named_and_left_out(experiment):
    rows = results(experiment)
    broken = next(r for r in rows if (r["arm"], r["variant"], r["seed"]) == ("rich", "1%", 1))
    broken |= {"status": "failed", "error": "ValueError: no", "test_accuracy": None}
    found = {(p.arm, p.variant): p for p in points(experiment, rows)}
    assert found["rich", "1%"].difference.mean == pytest.approx(0.12)  # 11 and 13: seeds in pairs
    assert found["rich", "1%"].y.size == 2
    text = page(experiment, rows)
    assert "1 runs failed:" in text
    assert "- final, rich, 1%, seed 1, `c=2 d=null`: ValueError: no" in text


def test_nothing_yet(experiment):
    assert "No run has finished." in page(experiment, [])
    assert figure(experiment, []).axes


def lines_of(drawn):
    (axes,) = drawn.axes
    return {c.get_label(): c.lines[0].get_data() for c in axes.containers}, axes


def test_figure(experiment):
    lines, axes = lines_of(figure(experiment, results(experiment)))
    assert {name: list(x) for name, (x, _) in lines.items()} == {
        "plain": [10, 20], "rich": [10, 20], "whole": [900]
    }  # fmt: skip
    assert list(lines["plain"][1]) == pytest.approx([60, 80])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("edges", "test accuracy (%)")
    assert axes.get_xscale() == "log"


def test_variants_as_places(tmp_path):
    arms = {name: arm for name, arm in TINY["arms"].items() if name != "whole"}
    numbers = read_experiment(
        written(tmp_path, arms=arms, measure={"y": "test_accuracy", "x": "variant"})
    )
    lines, _ = lines_of(figure(numbers, results(numbers)))
    # The other arm is at the same numbers: five hundredths of the range between the two.
    assert list(lines["plain"][0]) == pytest.approx([0.975, 1.975])
    names = read_experiment(written(tmp_path, measure={"y": "test_accuracy", "x": "variant"}))
    lines, axes = lines_of(figure(names, results(names)))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1%", "2%", "all"]
    # Side by side, and in the order of the definition.
    assert list(lines["plain"][0]) == pytest.approx([-0.25, 0.75])
    assert list(lines["whole"][0]) == pytest.approx([2.25])


def test_an_unknown_axis(tmp_path):
    wrong = read_experiment(written(tmp_path, measure={"y": "test_loss", "x": "edges"}))
    with pytest.raises(ValueError, match=r"Got 'test_loss'; there are .*test_accuracy"):
        page(wrong, results(wrong))
