"""Backbones and cached features, in brain encoders and data sets."""

import numpy as np
import pytest
import torch

from graphcolumns.data import Dataset
from graphcolumns.data.brain import responses_folder
from graphcolumns.data.brain.inputs import ImageInputs
from graphcolumns.data.features import ModuleBackbone, Preprocessing, cached_features
from graphcolumns.models.brain_encoder import brain_encoder
from graphcolumns.training import TrainOptions, train
from tests.data.features.support.networks import pictures, vision_transformer

IMAGES = pictures(12)
RESPONSES = torch.rand(12, 3, generator=torch.Generator().manual_seed(0))


def backbone(**options):
    return ModuleBackbone(vision_transformer(), "blocks.1", prefix=("cls",), **options)


def encoder(**options):
    torch.manual_seed(0)
    return brain_encoder(3, tokens=(4, 8), queries="vertices", decoder={"heads": 2}, **options)


@torch.no_grad()
def test_an_encoder_predicts_the_same_from_images_and_from_cached_features(tmp_path):
    cache = cached_features(backbone(), IMAGES, tmp_path, dtype="float32", progress=False)
    tokens = torch.from_numpy(np.array(cache.rows()[:]))
    from_images = encoder(backbone=backbone()).eval()(IMAGES).prediction
    torch.testing.assert_close(encoder().eval()(tokens).prediction, from_images)


def test_training_changes_the_encoder_and_not_its_backbone(tmp_path):
    model = encoder(backbone=backbone())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    data = Dataset(IMAGES[:8], RESPONSES[:8], IMAGES[8:], RESPONSES[8:], task="regression")
    options = TrainOptions(steps=2, epochs=None, batch_size=4, progress=False)
    train(model, data, run=tmp_path / "run", options=options)
    same = {name for name, value in model.state_dict().items() if value.equal(before[name])}
    names = {f"backbone.{name}" for name in backbone().state_dict()}
    assert names <= same
    assert len(same) < len(before)


def test_a_backbone_learns_if_it_is_not_frozen():
    model = encoder(backbone=backbone(frozen=False), train_backbone=True).train()
    model(IMAGES).prediction.sum().backward()
    assert model.backbone.module.blocks[0].mlp.weight.grad.abs().max() > 0
    with pytest.raises(ValueError, match=r"a backbone that learns. Got a frozen .*; pass frozen=F"):
        encoder(backbone=backbone(), train_backbone=True)


def test_cached_features_of_files_are_the_inputs_of_recorded_responses(tmp_path):
    image = pytest.importorskip("PIL.Image")
    files = [tmp_path / f"{number}.png" for number in range(12)]
    for file, picture in zip(files, IMAGES, strict=True):
        pixels = (picture * 255).byte().permute(1, 2, 0).numpy()
        image.fromarray(pixels).save(file)
    source = backbone(preprocessing=Preprocessing())
    cache = cached_features(source, ImageInputs(files, 8), tmp_path / "cache", progress=False)
    folder = tmp_path / "recorded"
    folder.mkdir()
    (folder / "features.npy").symlink_to(cache.path())
    np.save(folder / "responses.npy", RESPONSES.numpy())
    data = responses_folder(folder)
    first = data.train[0]
    inputs = first[0] if isinstance(first, tuple) else first
    rows = cache.rows()[:]
    assert any(np.array_equal(inputs["features"], row) for row in rows)
    assert data.spec.inputs[0].shape == (4, 8)
