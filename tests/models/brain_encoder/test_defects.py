"""Training, resuming, choosing: defects that such encoders have had, after Adeli et al."""

from collections import Counter
from typing import ClassVar

import pytest
import torch
from torch import nn

from graphcolumns import checkpoint, train
from graphcolumns.data import Dataset, Regression
from graphcolumns.data.brain import three_way
from graphcolumns.models.brain_encoder import linear_encoder
from graphcolumns.training import evaluate
from graphcolumns.training.optim import adamw
from tests.models.brain_encoder.support.small import (
    DECODER,
    F,
    M,
    V,
    data,
    encoder,
    options,
    regions,
)


class Backbone(nn.Module):
    """A frozen network with weights, statistics and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, F, 2, stride=2)
        self.norm, self.dropout = nn.BatchNorm2d(F), nn.Dropout(0.5)

    def forward(self, images):
        return self.dropout(self.norm(self.patches(images))).flatten(2).transpose(1, 2)


def images(samples: int = 24) -> Dataset:
    torch.manual_seed(0)
    x, y = torch.rand(samples, 3, 8, 8), torch.randn(samples, V)
    return Dataset(x, y, x, y, task=Regression(regions=regions()))


def test_a_checkpoint_of_a_frozen_backbone_loads(tmp_path):
    """A checkpoint holds all that a strict load needs, the frozen backbone too."""
    model = encoder(backbone=Backbone())
    train(model, images(), run=tmp_path / "run", options=options())
    torch.manual_seed(7)  # another backbone, other queries
    other = encoder(backbone=Backbone(), seed=9)
    checkpoint.load(tmp_path / "run", other)
    assert all(map(torch.equal, model.state_dict().values(), other.state_dict().values()))
    x = images().train_inputs
    assert torch.equal(model.eval()(x).prediction, other.eval()(x).prediction)


def test_a_frozen_backbone_does_not_change_by_training(tmp_path):
    """Weights and running statistics of a frozen backbone stay as they were, bit for bit."""
    model = encoder(backbone=Backbone())
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    train(model, images(), run=tmp_path / "run", options=options(weight_decay=0.5))
    after = model.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_run_in_parts_is_that_run_and_its_scores_need_no_run(tmp_path):
    """Resuming and evaluating need the model and the data, no option that training left behind."""
    train(encoder(), data(), run=tmp_path / "parts", options=options(steps=6))
    resumed = encoder(seed=5)
    longer = options(steps=12, changes=["steps"])
    train(resumed, data(), run=tmp_path / "parts", options=longer, resume=True)
    loaded = encoder(seed=6)
    checkpoint.load(tmp_path / "parts", loaded)
    assert evaluate(loaded, data(), "test") == evaluate(resumed, data(), "test")
    assert evaluate(loaded, data(), "test")["r2"] <= 1


def test_the_run_folder_is_the_one_that_is_named(tmp_path):
    """What a run writes is in its folder, and nowhere else."""
    train(encoder(), data(), run=tmp_path / "a" / "results", options=options())
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert {"checkpoint", "metrics.jsonl"} <= {p.name for p in (tmp_path / "a/results").iterdir()}
    with pytest.raises(FileExistsError):
        train(encoder(), data(), run=tmp_path / "a" / "results", options=options())


def test_two_runs_with_one_seed_are_equal(tmp_path):
    """A run is a function of its seed."""
    files = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(seed)
        run, model = tmp_path / name, encoder(seed=seed, decoder=DECODER | {"dropout": 0.1})
        train(model, data(), run=run, options=options(seed=seed))
        files[name] = (run / "checkpoint/model.safetensors").read_bytes()
    assert files["a"] == files["b"]
    assert files["a"] != files["c"]


def test_the_split_is_a_function_of_its_seed():
    """Splits depend on their seed alone, whatever was drawn before."""
    torch.manual_seed(0)
    first = three_way(100, seed=3)
    torch.rand(17)
    assert all(map(torch.equal, first, three_way(100, seed=3)))
    assert not torch.equal(first.test, three_way(100, seed=4).test)
    assert Counter(torch.cat(first).tolist()) == Counter(range(100))


def test_ten_folds_are_folds():
    """Folds partition the samples: each is held out once, unlike in ten random splits."""
    held = [data(50).validation(fold, folds=10) for fold in range(10)]
    rows = torch.cat([part.test_targets for part in held])
    assert len(rows) == 50
    assert len(rows.unique(dim=0)) == 50


class Watched(Regression):
    """Counts how often scores of a number of samples are computed."""

    seen: ClassVar[Counter] = Counter()

    def _pearson(self, prediction, targets):
        Watched.seen[len(targets)] += 1
        return super()._pearson(prediction, targets)


def test_the_epoch_is_chosen_by_validation_and_the_test_part_is_scored_once(tmp_path):
    """Scores during training are those of a validation fold; the test part is scored at the end."""
    x, y = torch.randn(100, M, F), torch.randn(100, V)
    t, u = torch.randn(37, M, F), torch.randn(37, V)
    task = Watched(regions=regions())
    samples = Dataset({"features": x}, y, {"features": t}, u, task=task)
    Watched.seen.clear()
    found = train(encoder(), samples, run=tmp_path / "test",
                  options=options(steps=12, evaluate_every=3))  # fmt: skip
    assert Watched.seen[37] == 1
    assert "test_pearson_r" in found
    assert not (tmp_path / "test" / "best").exists()
    Watched.seen.clear()
    fold = samples.validation(0)
    found = train(encoder(), fold, run=tmp_path / "chosen",
                  options=options(steps=12, evaluate_every=3, best="pearson_r"))  # fmt: skip
    assert Watched.seen[37] == 0
    assert Watched.seen[20] > 1
    assert not any(name.startswith("test_pearson") for name in found)
    assert checkpoint.read_step(tmp_path / "chosen", "best") <= 12


def test_scores_during_training_change_nothing_of_it(tmp_path):
    """Looking at a validation fold costs time alone: weights are those of a run that does not."""
    files = []
    for every in (None, 2):
        run, fold = tmp_path / str(every), data().validation(0)
        train(encoder(), fold, run=run, options=options(evaluate_every=every))
        files.append((run / "checkpoint/model.safetensors").read_bytes())
    assert files[0] == files[1]


def test_decay_is_an_option_that_leaves_biases_alone():
    """The penalty of the linear encoder is weight decay: of any size, of no bias or embedding."""
    torch.manual_seed(0)
    for model in (linear_encoder(V, tokens=(M, F), channels=4), encoder()):
        names = {parameter: name for name, parameter in model.named_parameters()}
        optimizer = adamw(model, lr=1e-3, weight_decay=0.02, betas=(0.9, 0.999))
        decayed, kept = (
            {names[p] for group in optimizer.param_groups for p in group["params"]
             if group["weight_decay"] == decay}
            for decay in (0.02, 0.0)
        )  # fmt: skip
        assert decayed | kept == set(names.values())
        assert {"weight", "readout.weight"} & decayed
        assert not [name for name in decayed if "bias" in name or "norm" in name]
        assert not [name for name in decayed if name.endswith("embedding")]
