import numpy as np
import pytest
import torch
from torch.utils.data import Dataset as MapDataset

from graphcolumns.data import Dataset, Regression, StreamedDataset
from graphcolumns.random.streams import batch_indices
from graphcolumns.training import evaluate
from graphcolumns.training.describe import describe_value
from tests.training.support.tiny import tiny

IMAGES = torch.rand(24, 1, 3, 3, generator=torch.Generator().manual_seed(0))
RESPONSES = torch.rand(24, 5, generator=torch.Generator().manual_seed(1))


class Counted(MapDataset):
    """Samples that note when they are read."""

    def __init__(self, inputs, targets):
        self.inputs, self.targets, self.read = inputs, targets, []

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        self.read.append(index)
        return self.inputs[index], self.targets[index]


def streamed(inputs=IMAGES, targets=RESPONSES, task="regression", **options):
    halves = Counted(inputs[:16], targets[:16]), Counted(inputs[16:], targets[16:])
    return StreamedDataset(*halves, task=task, **options)


def whole(task="regression"):
    return Dataset(IMAGES[:16], RESPONSES[:16], IMAGES[16:], RESPONSES[16:], task=task)


def test_it_looks_like_a_data_set_in_memory():
    data, memory = streamed(units={"targets": "z"}), whole()
    assert (data.size("train"), data.size("test"), data.num_classes) == (16, 8, 5)
    assert (data.channels, data.image_size) == (memory.channels, memory.image_size) == (1, (3, 3))
    assert data.spec.inputs == memory.spec.inputs
    assert data.spec.targets.unit == "z"
    assert repr(data) == "Streamed" + repr(memory)
    chosen = torch.tensor([3, 0, 3])
    for half in ("train", "test"):
        for got, expected in zip(data.batch(half, chosen), memory.batch(half, chosen), strict=True):
            assert torch.equal(got, expected)
    with pytest.raises(ValueError, match="has no true edges"):
        data.truth_at()


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_memory(workers):
    data, memory = streamed(num_workers=workers), whole()
    order = [batch_indices(step, 6, 16, seed=3) for step in range(5)]
    before = torch.get_rng_state()
    pairs = zip(data.batches("train", order), memory.batches("train", order), strict=True)
    for got, expected in pairs:
        assert torch.equal(got.inputs, expected.inputs)
        assert torch.equal(got.targets, expected.targets)
    assert torch.equal(torch.get_rng_state(), before)
    inputs = torch.cat([batch.inputs for batch in data.in_order("test", 3)])
    assert torch.equal(inputs, IMAGES[16:])


def test_only_what_is_needed_is_read():
    data = streamed()
    data.train.read.clear()
    batches = data.batches("train", (batch_indices(step, 4, 16, 0) for step in range(1000)))
    wanted = [batch_indices(step, 4, 16, 0).tolist() for step in range(2)]
    next(batches), next(batches)
    assert data.train.read == wanted[0] + wanted[1]


def test_memory_mapped_responses(tmp_path):
    np.save(tmp_path / "responses.npy", RESPONSES.numpy())
    lazy = np.load(tmp_path / "responses.npy", mmap_mode="r")
    data = streamed(targets=lazy)
    assert isinstance(data.train.targets, np.memmap)
    assert torch.equal(data.batch("train", torch.arange(4)).targets, RESPONSES[:4])


def test_the_first_samples_in_memory():
    data = streamed(units={"targets": "z"}).in_memory(10)
    assert isinstance(data, Dataset)
    assert (data.size("train"), data.size("test")) == (10, 8)
    assert torch.equal(data.train_inputs, IMAGES[:10])
    assert torch.equal(data.test_targets, RESPONSES[16:])
    assert data.spec == streamed(units={"targets": "z"}).spec


def test_subset_and_folds():
    data = streamed()
    part = data.subset(torch.tensor([5, 1, 2]))
    assert torch.equal(part.batch("train", torch.arange(3)).targets, RESPONSES[[5, 1, 2]])
    fold, memory = data.validation(1, folds=4, seed=2), whole().validation(1, folds=4, seed=2)
    assert fold.held_out == "validation"
    for half in ("train", "test"):
        everything = torch.arange(memory.size(half))
        got, expected = fold.batch(half, everything), memory.batch(half, everything)
        assert torch.equal(got.targets, expected.targets)


@pytest.mark.parametrize("workers", [0, 2])
def test_scores_are_those_of_memory(workers):
    model = tiny(classes=5)
    data = streamed(num_workers=workers)
    for half in ("train", "test"):
        assert evaluate(model, data, half, 5) == evaluate(model, whole(), half, 5)
    first = streamed(score_train=7)
    expected = evaluate(model, whole().subset(torch.arange(7)), "train", 5)
    assert evaluate(model, first, "train", 5) == expected


def test_mappings():
    class Named(Counted):
        def __getitem__(self, index):
            image, targets = super().__getitem__(index)
            return {"image": image.numpy(), "question": index % 2, "targets": targets}

    halves = Named(IMAGES[:16], RESPONSES[:16]), Named(IMAGES[16:], RESPONSES[16:])
    data = StreamedDataset(*halves, task="regression")
    inputs, targets = data.batch("train", torch.tensor([2, 5]))
    assert torch.equal(inputs["image"], IMAGES[[2, 5]])
    assert inputs["question"].tolist() == [0, 1]
    assert torch.equal(targets, RESPONSES[[2, 5]])
    assert [part.name for part in data.spec.inputs] == ["image", "question"]
    assert data.image_size == (3, 3)


def test_a_mistake_is_found_when_it_is_read():
    holes = RESPONSES.clone()
    holes[3, 1] = float("nan")
    data = streamed(targets=holes)
    with pytest.raises(ValueError, match="targets must be finite where targets count"):
        data.batch("train", torch.tensor([3]))
    with pytest.raises(ValueError, match="targets must be finite where targets count"):
        list(streamed(targets=holes, num_workers=1).in_order("train", 4))
    kept = streamed(targets=holes, task=Regression(missing=True))
    assert kept.batch("train", torch.tensor([3])).targets.isnan().sum() == 1
    ragged = [IMAGES[0]] * 20 + [IMAGES[0, :, :2]] * 4
    with pytest.raises(ValueError, match="the same shape in every sample"):
        streamed(inputs=ragged).batch("test", torch.arange(8))


class Random(Counted):
    def __getitem__(self, index):
        return torch.rand(1, 3, 3), self.targets[index]


@pytest.mark.parametrize(
    ("train", "options", "error", "message"),
    [
        (Random(IMAGES, RESPONSES), {}, ValueError, r"Sample 0 of train .*'inputs' differed"),
        (Counted(IMAGES, RESPONSES[:0]), {}, ValueError, "train must hold at least one sample"),
        (iter([1]), {}, TypeError, r"map-style data set, with len\(\) and \[i\]"),
        ([IMAGES[0]], {}, TypeError, r"a sample must be \(inputs, targets\)"),
        ([{"image": IMAGES[0]}], {}, TypeError, r"Got the entries \['image'\]"),
        ([(IMAGES[0].byte(), RESPONSES[0])], {}, TypeError, r"scale images to \[0, 1\]"),
        ([(IMAGES[0], RESPONSES[0, :3])], {}, ValueError, "the same names, shapes and types"),
        (Counted(IMAGES, RESPONSES), {"num_workers": -1}, ValueError, "num_workers must be at le"),
        (Counted(IMAGES, RESPONSES), {"score_train": 0}, ValueError, "score_train at least 1"),
    ],
)
def test_wrong_parts(train, options, error, message):
    with pytest.raises(error, match=message):
        StreamedDataset(train, Counted(IMAGES, RESPONSES), task="regression", **options)


def test_its_fingerprint_reads_the_first_samples_only():
    data = streamed()
    data.train.read.clear()
    known = describe_value("data", data)
    assert set(data.train.read) == {0}
    assert known == describe_value("data", streamed(num_workers=2))
    assert known != describe_value("data", streamed(targets=RESPONSES + 1))
    assert known["data.task.mask"] is None
