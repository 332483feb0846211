"""Losses and edges of every rule on every experiment are those that were recorded, bit for bit."""

import json
from pathlib import Path

import pytest

from tests.training.support.recorded import differences, run

RECORDED = json.loads(Path(__file__).with_name("first_losses.json").read_text())
# One rule that scores edges and one that draws them.
FEW = ["planted/exact", "planted/set"]
GROUPS = [
    pytest.param(
        [name for name in RECORDED["runs"] if name.startswith(experiment) and name not in FEW],
        id=experiment,
        marks=pytest.mark.slow,
    )
    for experiment in ("digits", "matching", "planted")
]


@pytest.mark.parametrize("names", [pytest.param(FEW, id="few"), *GROUPS])
def test_first_losses_and_edges_are_those_recorded(names, tmp_path):
    assert differences(RECORDED, run(names, tmp_path)) == []


def example(arithmetic: str = "", edges: str = "e", second: float = 0.5) -> dict:
    losses = " ".join(loss.hex() for loss in (1.0, second))
    return {"arithmetic": arithmetic, "runs": {"a/b": {"losses": losses, "edges": edges}}}


def test_one_bit_counts_where_the_arithmetic_is_that_of_the_record():
    assert differences(example(), example()) == []
    assert differences(example(), example(edges="f")) == ["a/b: the edges at the end differ"]
    (line,) = differences(example(), example(second=0.5 + 2**-53))
    assert line == "a/b: the loss of step 2 is 0.5000000000000001, it was 0.5"


def test_elsewhere_rounding_does_not_count():
    assert differences(example(), example("other", "f", 0.5 + 2**-24)) == []
    assert len(differences(example(), example("other", "f", 0.5 + 2**-15))) == 1
    assert len(differences(example(), example("other", "f", float("nan")))) == 1
