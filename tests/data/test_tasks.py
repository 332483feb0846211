import math

import pytest
import torch

from graphcolumns.data import (
    TASKS,
    Dataset,
    InstructedClassification,
    Regression,
    Task,
    masked,
)
from graphcolumns.data.tasks import task_named
from graphcolumns.geometry import Regions

TARGETS = {
    "classification": torch.tensor([2, 0, 3, 3, 1]),
    "reconstruction": torch.arange(20.0).reshape(5, 1, 2, 2).cos(),
    "multi_label": torch.arange(20).reshape(5, 4) % 3 // 2,
    "regression": torch.arange(20.0).reshape(5, 4).cos(),
}
INPUTS = torch.arange(20.0).reshape(5, 1, 2, 2)


@pytest.mark.parametrize("name", list(TASKS))
def test_the_losses_of_samples_are_those_of_batches_of_one(name):
    task = TASKS[name]
    prediction, targets = torch.arange(20.0).reshape(5, 4).sin(), TARGETS[task.name]
    each = task.per_sample(prediction, targets)
    alone = [task.loss(prediction[b : b + 1], targets[b : b + 1]) for b in range(5)]
    torch.testing.assert_close(each, torch.stack(alone))
    torch.testing.assert_close(each.mean(), task.loss(prediction, targets))


@pytest.mark.parametrize("name", list(TASKS))
def test_a_better_prediction_has_better_metrics(name):
    task = TASKS[name]
    targets = TARGETS[task.name]
    good = {
        "classification": torch.nn.functional.one_hot(targets, 4) * 9.0
        if targets.ndim == 1
        else None,
        "multi_label": targets * 9.0 - 4,
    }.get(task.name, targets.float().flatten(1) if targets.ndim > 1 else None)
    bad = good.roll(1, 0)
    assert task.loss(good, targets) < task.loss(bad, targets)
    for metric, (function, direction, unit) in task.metrics.items():
        sign = {"higher": 1, "lower": -1}[direction]
        assert sign * function(good, targets) > sign * function(bad, targets), metric
        assert unit
        assert task.direction(metric) == direction
    assert task.direction("loss") == "lower"
    assert task.main in (*task.metrics, "loss")


@pytest.mark.parametrize("name", list(TASKS))
def test_a_data_set_takes_names_and_values(name):
    targets = TARGETS[TASKS[name].name]
    by_name = Dataset(INPUTS, targets, INPUTS, targets, 4, task=name)
    by_value = Dataset(INPUTS, targets, INPUTS, targets, 4, task=TASKS[name])
    assert by_name.task is by_value.task is TASKS[name]
    assert by_name.num_classes == 4
    if TASKS[name].name != "classification":
        assert Dataset(INPUTS, targets, INPUTS, targets, task=name).num_classes == 4


def test_unknown_tasks():
    with pytest.raises(ValueError, match="task must be one of 'classification', 'multi_label'"):
        task_named("clustering")
    with pytest.raises(TypeError, match="task must be a Task or the name of one"):
        task_named(3)
    with pytest.raises(ValueError, match=r"num_classes must be at least 1.*Got 0 for .*classif"):
        Dataset(INPUTS, TARGETS["classification"], INPUTS, TARGETS["classification"])


class TestRegression:
    responses = TARGETS["regression"]
    prediction = responses + 0.1 * torch.arange(20.0).reshape(5, 4).sin()

    def data(self, targets=None, **options) -> Dataset:
        targets = self.responses if targets is None else targets
        return Dataset(INPUTS, targets, INPUTS, targets, task=Regression(**options))

    def test_masked_targets_do_not_count(self):
        mask = torch.tensor([True, False, True, True])
        task = Regression(mask, torch.full((4,), 0.5))
        broken = self.prediction.clone()
        broken[:, 1] = 1e3
        holes = self.responses.clone()
        holes[:, 1] = math.nan
        assert self.data(holes, mask=mask).num_classes == 4
        for metric in task.metrics.values():
            expected = metric.function(self.prediction, self.responses)
            assert metric.function(broken, holes) == expected
        assert task.loss(broken, holes) == task.loss(self.prediction, self.responses)
        assert set(task.metrics) == {"r2", "pearson_r", "ceiling_fraction"}
        assert set(Regression().metrics) == {"r2", "pearson_r"}

    def test_missing_responses(self):
        seen = torch.rand(5, 4, generator=torch.Generator().manual_seed(0)) > 0.3
        holes = masked(self.responses, seen)
        assert torch.equal(holes.isnan(), ~seen)
        data = self.data(holes, missing=True)
        assert data.task.loss(self.prediction, holes).isfinite()
        assert masked(self.responses, seen[0]).isnan().all(0).tolist() == (~seen[0]).tolist()
        with pytest.raises(ValueError, match=r"Got NaN in . of 4 targets: mask .*missing=True"):
            self.data(holes)
        with pytest.raises(ValueError, match=r"mask must be bool of shape \(5, 4\) or \(4,\)"):
            masked(self.responses, seen[:, :2])

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"mask": torch.ones(4)}, TypeError, "mask must be a bool tensor. Got torch.float32"),
            ({"mask": torch.zeros(4).bool()}, ValueError, "leave at least one.*with 0 left"),
            ({"mask": torch.ones(3).bool()}, ValueError, r"one value per target, \[4\]. Got \[3\]"),
            ({"mask": torch.ones(5, 4).bool()}, ValueError, r"masked\(targets, mask\)"),
            ({"noise_ceiling": torch.full((4,), 50.0)}, ValueError, "divide percent by 100"),
            ({"noise_ceiling": torch.full((4,), math.nan)}, ValueError, "set NaN to 0"),
            ({"noise_ceiling": torch.zeros(4)}, ValueError, "above 0 for at least one"),
            ({"noise_ceiling": [0.5] * 4}, TypeError, "floating tensor. Got list"),
            ({"targets": torch.ones(5, 4).long()}, TypeError, "call .float()"),
            ({"targets": torch.ones(5)}, ValueError, "num_classes must be at least 1"),
            ({"targets": torch.full((5, 4), math.inf)}, ValueError, "Mask targets that are inf"),
        ],
    )
    def test_wrong_parts(self, options, error, message):
        with pytest.raises(error, match=message):
            self.data(**options)


INSTRUCTED = {"image": INPUTS, "instruction": torch.tensor([0, 1, 0, 1, 1])}


class TestInstructed:
    targets = TARGETS["classification"]
    task = InstructedClassification(("left", "right"))

    def data(self, task=None, **inputs) -> Dataset:
        inputs = INSTRUCTED | inputs
        return Dataset(inputs, self.targets, inputs, self.targets, 4, task=task or self.task)

    def test_ids_and_one_hot_are_the_same(self):
        ids = INSTRUCTED["instruction"]
        assert torch.equal(self.task.group_of(INSTRUCTED), ids)
        one_hot = torch.nn.functional.one_hot(ids, 2).float()
        data = self.data(instruction=one_hot)
        assert torch.equal(data.task.group_of(data.train_inputs), ids)

    def test_direction_of_the_scores_of_groups(self):
        assert self.task.direction("accuracy_left") == "higher"
        assert self.task.direction("loss") == "lower"
        assert self.task.groups == ("left", "right")

    def test_wrong_parts(self):
        with pytest.raises(ValueError, match=r"ids in \[0, 2\), one per instruction. Got 0 to 2"):
            self.data(instruction=torch.tensor([0, 1, 2, 0, 0]))
        with pytest.raises(
            ValueError, match=r"mapping with an entry 'question'. Got 'image', 'ins"
        ):
            self.data(InstructedClassification(("a", "b"), key="question"))
        with pytest.raises(ValueError, match=r"ids \[n\] int64, or \[n, 2\] values"):
            self.data(instruction=torch.zeros(5, 3))
        with pytest.raises(ValueError, match="instructions must be different names"):
            InstructedClassification(("a", "a"))
        with pytest.raises(ValueError, match="instructions must be different names"):
            InstructedClassification()


def test_a_task_of_ones_own():
    class Sign(Task):
        name = "sign"

        def per_sample(self, prediction, targets):
            return (prediction[:, 0].sign() - targets).abs()

        def num_outputs(self, targets):
            return 1

    targets = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0])
    data = Dataset(INPUTS, targets, INPUTS, targets, task=Sign())
    assert data.num_classes == 1
    assert data.task.loss(torch.ones(5, 1), targets) == 4 / 5
    assert dict(data.task.metrics) == {}


def test_a_task_moves_with_its_data():
    class Moving(Regression):
        def to(self, device):
            return Regression(mask=torch.tensor([True, False, True, False]))

    targets = TARGETS["regression"]
    moved = Dataset(INPUTS, targets, INPUTS, targets, task=Moving()).to("cpu")
    assert moved.task.mask.tolist() == [True, False, True, False]
    kept = moved.to("cpu").task
    assert torch.equal(kept.mask, moved.task.mask)
    assert kept.noise_ceiling is None


def test_regions_are_of_the_targets():
    regions = Regions.from_masks({"V1": torch.tensor([1, 1, 0]).bool()})
    x, y = torch.rand(4, 2), torch.rand(4, 3)
    data = Dataset(x, y, x, y, task=Regression(regions=regions))
    assert data.task.to("cpu").regions.names == ("V1",)
    assert data.task.described()["regions"]["V1"].tolist() == [True, True, False]
    assert "regions" not in Regression().described()
    with pytest.raises(ValueError, match=r"V = 4\. Got Regions"):
        Dataset(x, torch.rand(4, 4), x, torch.rand(4, 4), task=Regression(regions=regions))
    with pytest.raises(ValueError, match=r"V = 2\. Got Regions"):
        Regression(torch.tensor([True, True]), regions=regions)
    with pytest.raises(TypeError, match="Got dict"):
        Regression(regions={"V1": [0]})
