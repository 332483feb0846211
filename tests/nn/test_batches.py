import pytest
import torch

from graphcolumns.nn import batches

IMAGE, IDS = torch.arange(30.0).reshape(5, 2, 3), torch.arange(5)
MAPPING = {"image": IMAGE, "ids": IDS}


def same(got, expected):
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        return all(torch.equal(got[name], expected[name]) for name in expected)
    return torch.equal(got, expected)


@pytest.mark.parametrize("index", [slice(1, 3), torch.tensor([4, 0]), torch.arange(5) > 2])
def test_samples_are_selected_in_every_tensor(index):
    assert same(batches.select_samples(IMAGE, index), IMAGE[index])
    expected = {"image": IMAGE[index], "ids": IDS[index]}
    assert same(batches.select_samples(MAPPING, index), expected)


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_parts_are_those_of_torch_and_join_again(size):
    parts = list(batches.split_samples(IMAGE, size))
    assert all(same(part, x) for part, x in zip(parts, IMAGE.split(size), strict=True))
    for given in (IMAGE, MAPPING):
        assert same(batches.join_samples(list(batches.split_samples(given, size))), given)
        assert same(batches.join_samples(batches.split_evenly(given, size)), given)
        assert len(batches.split_evenly(given, size)) == size


def test_number_and_device():
    assert batches.num_samples(IMAGE) == batches.num_samples(MAPPING) == 5
    assert batches.device_of(MAPPING) == torch.device("cpu")
    assert batches.map_tensors(lambda x: x + 1, MAPPING)["ids"].tolist() == [1, 2, 3, 4, 5]
