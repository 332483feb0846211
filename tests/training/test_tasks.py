"""Every task trains; data that is streamed trains as data in memory."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from graphcolumns.data import Dataset, InstructedClassification, Regression, StreamedDataset
from graphcolumns.data.augment import affine
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.edge_linear import EdgeLinear
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.plasticity import presets
from graphcolumns.training import train
from tests.data.test_streamed import Counted
from tests.training.support.tiny import tiny

OPTIONS = {"batch_size": 10, "progress": False, "lr": 3e-2, "evaluate_every": 10}


def entries(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def images(count: int = 80):
    return torch.rand(count, 1, 3, 3, generator=torch.Generator().manual_seed(4))


def dataset(inputs, targets, **options) -> Dataset:
    half = len(targets) // 2
    first = inputs[:half] if torch.is_tensor(inputs) else {k: x[:half] for k, x in inputs.items()}
    last = inputs[half:] if torch.is_tensor(inputs) else {k: x[half:] for k, x in inputs.items()}
    return Dataset(first, targets[:half], last, targets[half:], **options)


def responses(vertices: int = 6):
    mixing = torch.randn(9, vertices, generator=torch.Generator().manual_seed(5))
    return images().flatten(1) @ mixing


class TestRegression:
    def test_it_learns_what_is_not_masked(self, tmp_path):
        targets = responses()
        targets[:, 2] = float("nan")
        mask = torch.arange(6) != 2
        ceiling = torch.where(mask, 0.9, 0.0)
        data = dataset(images(), targets, task=Regression(mask, ceiling))
        summary = train(tiny(classes=6, dropout=0), data, run=tmp_path, steps=200, **OPTIONS)
        first, last = entries(tmp_path)[9], entries(tmp_path)[-1]
        assert summary["test_r2"] > 0.5 > 0.2 > first["train_r2"]
        assert last["train_loss"] < 0.2 * first["train_loss"]
        assert summary["test_ceiling_fraction"] > summary["test_pearson_r"] ** 2
        assert summary["test_accuracy"] is None

    def test_the_best_checkpoint_is_that_of_r2(self, tmp_path):
        data = dataset(images(), responses(), task="regression").validation(0)
        summary = train(tiny(classes=6), data, run=tmp_path, steps=40, **OPTIONS)
        scores = [e["validation_r2"] for e in entries(tmp_path) if "validation_r2" in e]
        assert summary["best_validation_r2"] == max(scores)

    def test_other_outputs_are_refused(self, tmp_path):
        data = dataset(images(), responses(), task="regression")
        with pytest.raises(ValueError, match=r"prediction \[B, 6\], one value .* 6 targets"):
            train(tiny(classes=5), data, run=tmp_path, steps=2, **OPTIONS)


class Image(nn.Module):
    """A model that returns an image, as decoders do."""

    def __init__(self):
        super().__init__()
        self.sheet = tiny(classes=9, dropout=0)
        self.graph = self.sheet.graph

    def forward(self, inputs):
        return ModelOutput(self.sheet(inputs).prediction.reshape(inputs.shape))


@pytest.mark.parametrize("model", [Image, lambda: tiny(classes=9, dropout=0)])
def test_reconstruction_in_either_shape(tmp_path, model):
    torch.manual_seed(0)
    data = dataset(images(), images(), task="reconstruction")
    summary = train(model(), data, run=tmp_path, steps=60, **OPTIONS)
    first, last = entries(tmp_path)[9], entries(tmp_path)[-1]
    assert last["train_psnr"] > first["train_psnr"]
    assert summary["test_normalised_error"] < first["train_normalised_error"]


class Asked(nn.Module):
    """Columns see a pixel and each other; which of them are read out depends on the instruction."""

    def __init__(self):
        super().__init__()
        edges = torch.randint(0, 9, (2, 30), generator=torch.Generator().manual_seed(0))
        self.graph = ColumnGraph.from_edge_index(edges.unique(dim=1), 9)
        self.gain = nn.Parameter(torch.randn(9, 1, 4))
        self.edges = EdgeLinear(self.graph)
        self.readout = nn.Linear(2 * 36, 3)

    def forward(self, inputs):
        state = torch.tanh(inputs["image"].flatten(1).t()[:, :, None] * self.gain)
        state = state + self.edges(state, self.graph)
        gates = nn.functional.one_hot(inputs["instruction"], 2).to(state)
        flat = state.transpose(0, 1).flatten(1)
        return ModelOutput(self.readout((flat[:, None] * gates[:, :, None]).flatten(1)), state)

    def rewired(self, graph):
        self.graph = graph


def instructed() -> Dataset:
    """The brightest pixel of the first row, or of the last one."""
    pictures, ids = images(160), torch.arange(160) % 2
    rows = torch.stack([pictures[:, 0, 0].argmax(1), pictures[:, 0, 2].argmax(1)], 1)
    inputs = {"image": pictures, "instruction": ids}
    task = InstructedClassification(("top", "bottom"))
    return dataset(inputs, rows[torch.arange(160), ids], num_classes=3, task=task)


def turned(inputs, generator):
    return affine(inputs, translate=0.05, generator=generator)


class TestInstructed:
    def test_it_follows_the_instruction(self, tmp_path):
        torch.manual_seed(0)
        summary = train(Asked(), instructed(), run=tmp_path, steps=150, **OPTIONS)
        scores = [summary[f"train_accuracy_{name}"] for name in ("top", "bottom")]
        assert min(scores) > 0.7  # two answers to one image: without the instruction 1/3 and some
        assert summary["train_accuracy"] == pytest.approx(sum(scores) / 2)

    def test_parts_augmentation_and_rules_take_mappings(self, tmp_path):
        def run(path, **options):
            torch.manual_seed(0)
            model, data = Asked(), instructed()
            # From zero, Adam moves all newborns by the same size: which of them are pruned next
            # would be a matter of rounding.
            first = {"first_value": "node_mean"}
            rule = partial(presets.rigl, every=2, samples=20, check_samples=20, **first)
            options |= {"augmentation": turned, "plasticity": rule, **OPTIONS}
            summary = train(model, data, run=path, steps=8, **options)
            return [entry["loss"] for entry in entries(path)], summary

        losses, summary = run(tmp_path / "whole")
        parts, _ = run(tmp_path / "parts", grad_accumulation=3)
        assert summary["updates"] >= 2
        assert parts == pytest.approx(losses, rel=1e-4)


class TestStreamed:
    def data(self, workers: int) -> StreamedDataset:
        halves = [Counted(images()[p], responses()[p]) for p in (slice(40), slice(40, 80))]
        return StreamedDataset(*halves, task="regression", num_workers=workers)

    def run(self, path: Path, data, steps: int = 12, **options) -> list[dict]:
        train(
            tiny(classes=6), data, run=path, steps=steps, checkpoint_every=5, **OPTIONS, **options
        )
        return entries(path)

    def test_losses_are_bit_for_bit_those_of_memory(self, tmp_path):
        memory = self.run(tmp_path / "memory", dataset(images(), responses(), task="regression"))
        for workers in (0, 2):
            assert self.run(tmp_path / str(workers), self.data(workers)) == memory

    def test_a_run_goes_on_bit_for_bit(self, tmp_path):
        whole = self.run(tmp_path / "whole", self.data(0))

        class Killed(BaseException):
            pass

        def kill(model, data):
            raise Killed

        with pytest.raises(Killed):  # at step 10, when it is scored
            self.run(tmp_path / "run", self.data(0), metrics={"kill": kill})
        assert len(entries(tmp_path / "run")) == 9
        assert self.run(tmp_path / "run", self.data(2), resume=True) == whole

    def test_training_reads_the_batches_and_little_more(self, tmp_path):
        data = self.data(0)
        data.train.read.clear()
        options = {**OPTIONS, "evaluate_every": None, "evaluate_test": False}
        scored = StreamedDataset(data.train, data.test, task="regression", score_train=1)
        train(tiny(classes=6), scored, run=tmp_path, steps=2, **options)
        assert 20 < len(data.train.read) < 40
        assert set(data.test.read) == {0}
