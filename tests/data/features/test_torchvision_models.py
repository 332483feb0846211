import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from graphcolumns.data.features import resnet
from tests.data.features.support.networks import pictures


class SmallResNet(nn.Module):
    """The names of a ResNet of torchvision, with a convolution for each stage."""

    def __init__(self, width=4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 2, 1)
        for stage in range(1, 5):
            setattr(self, f"layer{stage}", nn.Conv2d(width, width, 3, 2, 1))
        self.fc = nn.Linear(width, 10)

    def forward(self, x):
        x = self.conv1(x)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


@pytest.fixture
def small(monkeypatch):
    def build(weights):
        assert weights is None
        return SmallResNet()

    models = SimpleNamespace(resnet18=build)
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(models=models))


@pytest.fixture
def real():
    """The package, where one is that fits this torch."""
    try:
        return pytest.importorskip("torchvision").models
    except RuntimeError as error:
        pytest.skip(f"torchvision does not fit this torch: {error}")


def test_stages_give_their_places(small, tmp_path):
    model = SmallResNet()
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    backbone = resnet(tmp_path / "weights.pth", "resnet18")
    assert backbone.layers == ("layer4",)
    assert backbone(pictures(2, 64)).shape == (2, 4, 4)
    assert backbone.module.fc.weight.equal(model.fc.weight)
    two = resnet(tmp_path / "weights.pth", "resnet18", [0, "layer2"], size=32)
    shapes = {layer: tokens.shape for layer, tokens in two.features(pictures(2, 64)).items()}
    assert shapes == {"layer1": (2, 64, 4), "layer2": (2, 16, 4)}


@torch.no_grad()
def test_a_resnet_of_torchvision(real, tmp_path):
    torch.manual_seed(0)
    model = real.resnet18(weights=None).eval()
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    images = pictures(2, 64)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    x = model.maxpool(model.relu(model.bn1(model.conv1((images - mean) / std))))
    x = model.layer4(model.layer3(model.layer2(model.layer1(x))))
    found = resnet(tmp_path / "weights.pth", "resnet18")(images)
    torch.testing.assert_close(found, x.flatten(2).transpose(1, 2))


def test_weights_of_another_architecture_are_refused(small, tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(SmallResNet(6).state_dict(), file)
    with pytest.raises(
        ValueError, match=r"of resnet18. Expected \(4, 3, 3, 3\) for 'conv1.weight'"
    ):
        resnet(file, "resnet18")
    torch.save({**SmallResNet().state_dict(), "head": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match=r"Expected nothing for 'head'. Got \(1,\); pass the arch"):
        resnet(file, "resnet18")
    torch.save(torch.zeros(1), file)
    with pytest.raises(ValueError, match=r"must hold a state dict. Got Tensor"):
        resnet(file, "resnet18")


def test_a_missing_file_says_what_is_to_be_had_and_where(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        resnet(tmp_path / "none.pth")
    assert str(raised.value) == (
        f"there is no file {tmp_path / 'none.pth'}. Expected the state dict of a resnet50 of "
        "torchvision. Nothing is downloaded here; get the file once from the address that "
        "torchvision.models.get_model_weights('resnet50').DEFAULT.url has."
    )
    with pytest.raises(ValueError, match=r"arch must be one of 'resnet18', .* Got 'vgg'"):
        resnet(tmp_path / "none.pth", "vgg")


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "weights.pth").touch()
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ImportError, match=r"pip install 'graphcolumns\[backbones\]'"):
        resnet(tmp_path / "weights.pth", "resnet18")


def test_a_package_for_another_torch_is_named(tmp_path, monkeypatch):
    (tmp_path / "weights.pth").touch()
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('no operator nms')")
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"does not fit this torch \(no operator nms\)"):
        resnet(tmp_path / "weights.pth", "resnet18")
