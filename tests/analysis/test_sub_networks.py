"""Sub-networks of instructions: shares, overlaps, another instruction, the chapter of a report."""

import math
import re

import pytest
import torch

from geometries import grid
from graphcolumns.analysis import SubNetworks, observe, sub_networks
from graphcolumns.analysis.report.instructions import instruction_chapter
from graphcolumns.analysis.sub_network_metrics import (
    sub_network_cosine,
    sub_network_iou,
    sub_network_share,
    wrong_instruction_score,
)
from graphcolumns.connect import nearest
from graphcolumns.data import Dataset, two_digits
from graphcolumns.data.instructed import InstructedClassification
from graphcolumns.models.bottom_up_top_down import layered_top_down, top_down_sheet

DATA = two_digits(train_count=50, test_count=40)


def by_hand():
    """Task 0 opens neurons 0, 1, 2 of four, task 1 opens 2 and 3."""
    model = layered_top_down([4, 4, 2], num_instructions=2)
    task = next(p.layer for p in model.network.projections if p.target == "task")
    with torch.no_grad():
        task.weight.copy_(torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0, 1.0]))
    return model


def sheet(**options):
    torch.manual_seed(0)
    places = grid.sheet(10, 12)
    return top_down_sheet(
        nearest(places, 5), 10, 2, image_size=(10, 12), steps=1, **options
    ), places


def test_shares_and_overlaps_by_hand():
    found = sub_networks(by_hand())
    assert found.gates["hidden1"][:, :, 0].int().tolist() == [[1, 1, 1, 0], [0, 0, 1, 1]]
    assert found.shares["hidden1"].tolist() == [0.75, 0.5]
    assert found.overlaps()["hidden1"][0, 1] == 1 / 4
    assert found.overlaps("cosine")["hidden1"][0, 1] == pytest.approx(1 / math.sqrt(6))
    assert sub_network_share(by_hand(), None) == 0.625
    assert sub_network_share(by_hand(), None, "hidden1", 1) == 0.5
    assert sub_network_iou(by_hand(), None) == 0.25
    assert sub_network_cosine(by_hand(), None, "hidden1") == pytest.approx(1 / math.sqrt(6))


def test_what_has_no_sub_networks_is_named():
    with pytest.raises(TypeError, match="Got BottomUpTopDown without a task"):
        sub_networks(layered_top_down([4, 4, 2], num_instructions=2, instruction="input"))
    with pytest.raises(TypeError, match="Got Linear"):
        sub_networks(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"Expected one of 'hidden1'. Got 'hidden2'"):
        sub_network_iou(by_hand(), None, "hidden2")
    with pytest.raises(ValueError, match="kind must be 'iou' or 'cosine'"):
        sub_networks(by_hand()).overlaps("jaccard")


def test_the_score_under_the_wrong_instruction():
    class Obedient(torch.nn.Module):
        """Answers with the id of the instruction."""

        def forward(self, inputs):
            answer = torch.nn.functional.one_hot(inputs["instruction"], 3).float()
            return type("Output", (), {"prediction": answer})

    inputs = {"image": torch.zeros(6, 1, 2, 2), "instruction": torch.arange(6) % 3}
    targets, task = torch.tensor([0, 1, 2, 1, 2, 2]), InstructedClassification(("a", "b", "c"))
    data = Dataset(inputs, targets, inputs, targets, 3, task)
    # Under the next instruction it answers 1, 2, 0, 1, 2, 0, of which two are right.
    assert wrong_instruction_score(Obedient(), data) == pytest.approx(2 / 6)


def test_metrics_without_gates_or_a_second_instruction_are_no_number():
    one = two_digits(train_count=20, test_count=20, instructions=("left",))
    alone = two_digits(train_count=20, test_count=20, instructions=("left",), encoding="none")
    model, _ = sheet(instruction="input")
    assert math.isnan(wrong_instruction_score(model, one))
    assert math.isnan(wrong_instruction_score(model, alone))
    about = two_digits("left_of_right_of", encoding="one_hot", train_count=20, test_count=20)
    assert math.isnan(wrong_instruction_score(model, about))
    for metric in (sub_network_share, sub_network_iou, sub_network_cosine):
        assert math.isnan(metric(model, one))


@pytest.mark.parametrize(("channels", "word"), [(1, "for both or neither"), (2, "Number")])
def test_the_chapter_of_a_report(channels, word):
    model, places = sheet(channels=channels)
    turned = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    chapter = instruction_chapter(model, observe(model, DATA, places), DATA)
    assert "Each of 2 instructions" in chapter.text
    assert [picture.name for picture in chapter.pictures] == ["sub_networks", "open_columns"]
    assert re.search(word, chapter.pictures[1].caption)
    rows = [line.split(",") for line in chapter.pictures[1].csv.splitlines()]
    assert rows[0] == ["column", "step0_left", "step0_right", "step1_left", "step1_right"]
    gates = sub_networks(model).gates["step1"].double().mean(2)
    assert [float(row[4]) for row in rows[1:]] == gates[1].tolist()
    # With another order of the model's columns, the report has the ids of the user.
    seen = observe(model, DATA, places, turned)
    mixed = instruction_chapter(model, seen, DATA, turned).pictures[1].csv.splitlines()
    assert float(mixed[1 + int(turned[0])].split(",")[4]) == gates[1, 0]


def test_a_model_without_gates_has_no_such_chapter():
    model, places = sheet(instruction="input")
    assert instruction_chapter(model, observe(model, DATA, places), DATA) is None


def test_sub_networks_are_shown_by_their_shares():
    gate = torch.tensor([[[True], [False], [False]], [[True], [True], [True]]])
    found = SubNetworks({"step0": gate}, ("step0",))
    assert repr(found) == "SubNetworks(shares={'step0': [0.33, 1.0]}, columns=('step0',))"
