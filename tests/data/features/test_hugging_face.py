import json
import sys

import pytest
import torch

from graphcolumns.data.features import clip, dinov2
from tests.data.features.support.networks import pictures

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers")


@pytest.fixture
def save(transformers, tmp_path):
    """Function that saves a model with random weights, and returns it with its folder."""

    def saved(name, config):
        torch.manual_seed(0)
        model = getattr(transformers, name)(config).eval()
        model.save_pretrained(tmp_path / name)
        return model, tmp_path / name

    return saved


def normalised(images, mean, std):
    return (images - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


@torch.no_grad()
def test_dinov2_gives_what_transformers_gives(transformers, save):
    model, folder = save("Dinov2Model", transformers.Dinov2Config(**SIZES))
    images = pictures(2, 42)
    x = normalised(images, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    states = model(x, output_hidden_states=True).hidden_states
    assert dinov2(folder)(images).equal(states[-1][:, 1:])
    assert dinov2(folder, -3, keep="all")(images).equal(states[1])
    assert dinov2(folder, "layernorm", keep="cls")(images).equal(model.layernorm(states[-1])[:, :1])
    both = dinov2(folder, [0, 2]).features(images)
    assert [tokens.shape for tokens in both.values()] == [(2, 9, 16)] * 2
    assert dinov2(folder, size=28)(images).shape == (2, 4, 16)


@torch.no_grad()
def test_queries_of_dinov2_are_those_of_its_projection(transformers, save):
    model, folder = save("Dinov2Model", transformers.Dinov2Config(**SIZES))
    images = pictures(2, 28)
    x = normalised(images, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    block = model.encoder.layer[2]
    before = block.norm1(model(x, output_hidden_states=True).hidden_states[2])
    names = ("q_proj", "k_proj", "v_proj"), ("query", "key", "value")
    linears = {name.rpartition(".")[2]: sub for name, sub in block.attention.named_modules()}
    for part, (new, old) in zip(names[1], zip(*names, strict=True), strict=True):
        expected = (linears.get(new) or linears[old])(before)[:, 1:]
        assert dinov2(folder, part=part)(images).equal(expected), part


def test_registers_are_left_out_and_named(transformers, save):
    config = transformers.Dinov2WithRegistersConfig(**SIZES, num_register_tokens=2)
    _, folder = save("Dinov2WithRegistersModel", config)
    backbone = dinov2(folder)
    assert backbone.prefix == ("cls", "register0", "register1")
    assert backbone(pictures(1, 28)).shape == (1, 4, 16)
    assert dinov2(folder, keep="register1")(pictures(1, 28)).shape == (1, 1, 16)


@torch.no_grad()
@pytest.mark.parametrize("whole", [True, False], ids=["with text", "images alone"])
def test_clip_gives_the_tokens_of_its_image_encoder(transformers, save, whole):
    vision = transformers.CLIPVisionConfig(**SIZES, intermediate_size=32)
    if whole:
        text = transformers.CLIPTextConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            vocab_size=9, max_position_embeddings=4, bos_token_id=0, eos_token_id=1,
        )  # fmt: skip
        config = transformers.CLIPConfig(
            text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8
        )
        model, folder = save("CLIPModel", config)
        model = model.vision_model
    else:
        model, folder = save("CLIPVisionModel", vision)
    images = pictures(2, 28)
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    states = model(normalised(images, mean, std), output_hidden_states=True).hidden_states
    assert clip(folder)(images).equal(states[-1][:, 1:])
    assert clip(folder, 0, keep="cls")(images).equal(states[1][:, :1])
    assert clip(folder, part="query")(pictures(2, 50)).shape == (2, 4, 16)


def test_the_weights_are_those_of_the_folder_without_a_network(transformers, save, monkeypatch):
    _, folder = save("Dinov2Model", transformers.Dinov2Config(**SIZES))

    def refused(*args, **options):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refused)
    dinov2(folder)


def test_weights_that_are_missing_are_no_random_weights(transformers, save):
    model, folder = save("Dinov2Model", transformers.Dinov2Config(**SIZES))
    state = {k: v for k, v in model.state_dict().items() if not k.startswith("layernorm")}
    model.save_pretrained(folder, state_dict=state)
    with pytest.raises(ValueError, match=r"Got none for 'layernorm.bias' and 1 others; get the"):
        dinov2(folder)


def test_numbers_of_blocks_are_checked(transformers, save):
    _, folder = save("Dinov2Model", transformers.Dinov2Config(**SIZES))
    with pytest.raises(ValueError, match=r"numbers of blocks in \[-3, 3\). Got 3\."):
        dinov2(folder, 3)
    with pytest.raises(ValueError, match=r"must be multiples of 14 pixels.* Got 30 x 30"):
        dinov2(folder)(pictures(1, 30))


@pytest.mark.parametrize(
    ("load", "example"),
    [(dinov2, "facebook/dinov2-base"), (clip, "openai/clip-vit-large-patch14")],
)
def test_a_missing_file_says_what_is_to_be_had_and_where(load, example, tmp_path):
    message = (
        f"there is no file {tmp_path / 'config.json'}. Expected config.json and model.safetensors "
        f"of a model such as {example} on the Hugging Face Hub. Nothing is downloaded here; call "
        f"once `hf download {example} --local-dir {tmp_path}`."
    )
    with pytest.raises(FileNotFoundError) as raised:
        load(tmp_path)
    assert str(raised.value) == message
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(FileNotFoundError, match=r"model.safetensors. Expected"):
        load(tmp_path)


def fake_folder(tmp_path, kind):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def test_another_kind_of_model_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"types dinov2, dinov2_with_registers. Got 'bert'; for ot"
    ):
        dinov2(fake_folder(tmp_path, "bert"))


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'graphcolumns\[backbones\]'"):
        dinov2(fake_folder(tmp_path, "dinov2"))
