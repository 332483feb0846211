import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from graphcolumns.data import StreamedDataset
from graphcolumns.data.features import (
    FeatureCache,
    ModuleBackbone,
    Preprocessing,
    cached_features,
)
from graphcolumns.data.features.cache_files import PartialFiles
from graphcolumns.data.features.lock import one_writer
from tests.data.features.support import slow_cache
from tests.data.features.support.networks import pictures, vision_transformer

ROOT = Path(__file__).parents[3]
IMAGES = pictures(10)


def backbone(layers=("blocks.1",), seed=0, **options):
    return ModuleBackbone(vision_transformer(seed), layers, prefix=("cls",), **options)


def cached(folder, source=None, images=IMAGES, **options):
    options = {"progress": False, "batch_size": 4, **options}
    return cached_features(backbone() if source is None else source, images, folder, **options)


class Counted:
    """A function that counts the images that it gets."""

    def __init__(self, function):
        self.function, self.images = function, 0

    def __call__(self, images):
        self.images += len(images)
        return self.function(images)


def counted(source):
    source.features = Counted(source.features)
    return source


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float16", 2e-3)])
def test_rows_are_the_features_of_the_images(tmp_path, dtype, tolerance):
    rows = cached(tmp_path, dtype=dtype).rows()
    expected = backbone()(IMAGES)
    assert (rows.shape, rows.dtype) == ((10, 4, 8), dtype)
    found = torch.from_numpy(rows[:].astype(np.float32))
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
    assert np.array_equal(rows[3], rows[3:4][0])
    assert np.array_equal(rows[torch.tensor([4, 1])], np.stack([rows[4], rows[1]]))
    with pytest.raises(ValueError, match=r"read-only"):
        rows[0][0] = 1


def test_what_is_there_is_not_computed_again(tmp_path):
    first, again = counted(backbone()), counted(backbone())
    cache = cached(tmp_path, first)
    assert first.features.images == 10 + 1  # one for the shapes
    assert cached(tmp_path, again).folder == cache.folder
    assert again.features.images == 0
    assert sorted(p.name for p in cache.folder.iterdir()) == [
        "blocks.1.npy",
        "lock",
        "manifest.json",
    ]


class Doubled(nn.Module):
    def forward(self, images):
        return 2 * images


CHANGES = {
    "weights": lambda: (backbone(seed=1), IMAGES, {}),
    "layer": lambda: (backbone("blocks.2"), IMAGES, {}),
    "part": lambda: (backbone(part="key"), IMAGES, {}),
    "tokens": lambda: (backbone(keep="all"), IMAGES, {}),
    "preprocessing": lambda: (backbone(preprocessing=Preprocessing()), IMAGES, {}),
    "size": lambda: (backbone(preprocessing=Preprocessing(size=12)), IMAGES, {}),
    "module before": lambda: (backbone(preprocessing=Doubled()), IMAGES, {}),
    "an image": lambda: (backbone(), IMAGES.index_fill(0, torch.tensor([9]), 0.5), {}),
    "order of images": lambda: (backbone(), IMAGES.flip(0), {}),
    "number of images": lambda: (backbone(), IMAGES[:9], {}),
    "type": lambda: (backbone(), IMAGES, {"dtype": "float32"}),
    "name of images": lambda: (backbone(), IMAGES, {"images_key": "pictures"}),
}


def test_whatever_changes_features_has_a_folder_of_its_own(tmp_path):
    folders = [cached(tmp_path).folder]
    for change in CHANGES.values():
        source, images, options = change()
        folders.append(cached(tmp_path, source, images, **options).folder)
    assert len(set(folders)) == len(CHANGES) + 1


def test_options_that_are_no_weights_are_part_of_the_key(tmp_path):
    nets = [nn.Sequential(nn.Conv2d(3, 4, 2, stride=stride)) for stride in (1, 2)]
    nets[1].load_state_dict(nets[0].state_dict())
    folders = {cached(tmp_path, ModuleBackbone(net, "0")).folder for net in nets}
    assert len(folders) == 2
    nets = [nn.Sequential(nn.Linear(8, 8), nn.Dropout(p)) for p in (0.1, 0.2)]
    nets[1].load_state_dict(nets[0].state_dict())
    folders |= {cached(tmp_path, ModuleBackbone(net, "0"), IMAGES).folder for net in nets}
    assert len(folders) == 4


def test_images_of_any_container_have_the_same_key(tmp_path):
    folders = {cached(tmp_path, images=x).folder for x in (IMAGES, IMAGES.numpy(), list(IMAGES))}
    assert len(folders) == 1


def test_the_mode_of_the_backbone_stays(tmp_path):
    source = backbone(frozen=False).train()
    cached(tmp_path, source)
    assert all(module.training for module in source.modules())


def test_a_folder_with_the_features_of_another_key_is_refused(tmp_path):
    cache = cached(tmp_path)
    manifest = json.loads((cache.folder / "manifest.json").read_text())
    manifest["key"]["weights"] = "0"
    (cache.folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"Got others, weights: '0' is not '\w+'; move the folder"):
        cached(tmp_path)


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.data.features.support.slow_cache", str(folder)],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_killed_process_is_continued_and_two_at_once_are_refused(tmp_path):
    with start(tmp_path) as process:
        # One image for the shapes, then three batches begun: two are on disk.
        for _ in range(4):
            assert process.stdout.readline().startswith("batch")
        source = slow_cache.backbone()
        with pytest.raises(
            RuntimeError, match=r"one process at a time may write .*Another one does"
        ):
            cached(tmp_path, source, pictures(20))
        process.send_signal(signal.SIGKILL)
    folder = next(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"must be finished before it is read. Got [46] of 20 ima"):
        FeatureCache(folder)
    assert not list(folder.glob("*.npy"))
    source = counted(slow_cache.backbone())
    cache = cached(tmp_path, source, pictures(20), batch_size=2)
    assert source.features.images in (14, 16)
    whole = cached(tmp_path / "whole", slow_cache.backbone(), pictures(20), batch_size=2)
    for layer in cache.layers:
        # Kernels depend on where memory lies: between processes the last bit of a sum may differ.
        np.testing.assert_allclose(cache.rows(layer)[:], whole.rows(layer)[:], atol=2e-3)


def test_what_a_stopped_process_left_half_renamed_is_finished(tmp_path, monkeypatch):
    source = backbone(("blocks.0", "blocks.1"))
    finish = PartialFiles.finish

    def stopped(files):
        partial = tmp_path.glob("*/blocks.0.npy.partial")
        for path in partial:
            path.rename(path.with_suffix(""))
        raise KeyboardInterrupt

    monkeypatch.setattr(PartialFiles, "finish", stopped)
    monkeypatch.setattr("graphcolumns.data.features.cache_files.NOTE_EVERY", 0)
    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, source)
    monkeypatch.setattr(PartialFiles, "finish", finish)
    again = counted(backbone(("blocks.0", "blocks.1")))
    cache = cached(tmp_path, again)
    assert again.features.images == 0
    assert cache.layers == ("blocks.0", "blocks.1")
    assert np.abs(cache.rows("blocks.1")[9]).max() > 0


def test_the_lock_goes_with_its_holder(tmp_path):
    with one_writer(tmp_path), pytest.raises(RuntimeError, match=r"Another one does"):
        with one_writer(tmp_path):
            pass
    with one_writer(tmp_path):
        pass


def test_rows_are_the_inputs_of_a_data_set(tmp_path):
    rows = cached(tmp_path).rows()
    targets = torch.rand(10, 3)

    class Half:
        def __init__(self, indices):
            self.indices = indices

        def __len__(self):
            return len(self.indices)

        def __getitem__(self, index):
            return {"features": rows[self.indices[index]], "targets": targets[self.indices[index]]}

    data = StreamedDataset(Half(range(8)), Half(range(8, 10)), task="regression", num_workers=2)
    batch = next(data.batches("train", [torch.tensor([5, 0])]))
    assert batch.inputs["features"].dtype == torch.float32
    assert np.array_equal(batch.inputs["features"].numpy(), rows[[5, 0]].astype(np.float32))


def test_rows_are_small_when_they_are_sent(tmp_path):
    cache = cached(tmp_path)
    rows = cache.rows()
    sent = pickle.dumps(rows)
    assert len(sent) < 1000
    assert np.array_equal(pickle.loads(sent)[2], rows[2])
    assert cache.path() == rows.path


def test_layers_with_other_names_have_files(tmp_path):
    net = nn.Sequential()
    net.add_module("a/b", nn.Conv2d(3, 4, 2))
    cache = cached(tmp_path, ModuleBackbone(net, "a/b"))
    assert (cache.folder / "layer0.npy").is_file()
    assert cache.rows("a/b").shape == (10, 49, 4)


def test_wrong_input_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"dtype must be one of 'float16', 'float32'. Got 'int8'"):
        cached(tmp_path, dtype="int8")
    with pytest.raises(ValueError, match=r"at least 1. Got 0 images and 4"):
        cached(tmp_path, images=IMAGES[:0])
    with pytest.raises(
        TypeError, match=r"with described\(\) and layers.* Got Linear; write Module"
    ):
        cached(tmp_path, nn.Linear(2, 2))
    with pytest.raises(TypeError, match=r"preprocessing must say what it does.* Got .*<lambda>"):
        cached(tmp_path, backbone(preprocessing=lambda images: images))
    with pytest.raises(ValueError, match=r"one size. Got \(3, 4, 4\) and \(3, 8, 8\)"):
        cached(tmp_path, images=[*IMAGES, torch.rand(3, 4, 4)])
    cache = cached(tmp_path, images_key="pictures")
    with pytest.raises(
        ValueError, match=r"name the same images. Expected 10 in .* Got 9; pass ano"
    ):
        cached(tmp_path, images=IMAGES[:9], images_key="pictures")
    with pytest.raises(ValueError, match=r"layer must be one of 'blocks.1'. Got 'blocks.2'"):
        cache.rows("blocks.2")


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (
            1e6,
            r"float16 holds up to|float16 holds values up to 65504. Got \d+ in the layer '0'; pas",
        ),
        (float("nan"), r"features must be finite. Got NaN or infinity in the layer '0'"),
    ],
)
def test_values_that_a_type_does_not_hold_are_refused(tmp_path, factor, message):
    net = nn.Sequential(nn.Conv2d(3, 4, 2))
    with torch.no_grad():
        net[0].weight.fill_(factor)
    with pytest.raises(ValueError, match=message):
        cached(tmp_path, ModuleBackbone(net, "0"))


def test_damaged_files_are_named(tmp_path):
    folder = cached(tmp_path).folder
    file = folder / "blocks.1.npy"
    content = file.read_bytes()
    file.write_bytes(content[:-8])
    with pytest.raises(ValueError, match=r"blocks.1.npy is damaged"):
        FeatureCache(folder)
    np.save(file, np.zeros((9, 4, 8), np.float16))
    with pytest.raises(ValueError, match=r"expected \[10, 4, 8\], got \[9, 4, 8\] float16"):
        FeatureCache(folder)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*blocks.1.npy"):
        FeatureCache(folder)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(ValueError, match=r"manifest.json is damaged"):
        FeatureCache(folder)
    with pytest.raises(FileNotFoundError, match=r"Expected a folder that cached_features wrote"):
        FeatureCache(tmp_path)
