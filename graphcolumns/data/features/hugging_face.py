"""DINOv2 and CLIP from folders on this machine, through the library ``transformers``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphcolumns.data.features.backbone import ModuleBackbone
from graphcolumns.data.features.layers import numbered
from graphcolumns.data.features.optional import require
from graphcolumns.data.features.parts import OUTPUT
from graphcolumns.data.features.preprocessing import OPENAI_CLIP, Preprocessing
from graphcolumns.data.features.tokens import PATCHES

CONFIG, WEIGHTS = "config.json", "model.safetensors"
# Kind of model in a configuration -> class of transformers that reads it.
DINOV2 = {"dinov2": "Dinov2Model", "dinov2_with_registers": "Dinov2WithRegistersModel"}
CLIP = {"clip": "CLIPVisionModel", "clip_vision_model": "CLIPVisionModel"}


def dinov2(
    path: str | os.PathLike[str],
    layers: int | str | Sequence[int | str] = -1,
    *,
    part: str = OUTPUT,
    keep: str = PATCHES,
    size: int | tuple[int, int] | None = None,
    frozen: bool = True,
) -> ModuleBackbone:
    """DINOv2 with the weights of a folder on this machine; nothing is downloaded.

    Tokens before the patches are named ``"cls"``, and ``"register0"``, ``"register1"``, ... where
    the model has registers. The output of a block is taken before the last norm, which is the layer
    ``"layernorm"``.

    Args:
        path: Folder with ``config.json`` and ``model.safetensors``, such as that of
            ``facebook/dinov2-base`` on the Hugging Face Hub.
        layers: Blocks by number, -1 for the last, or layers by name.
        part: ``"output"``, ``"query"``, ``"key"`` or ``"value"``, as of ``ModuleBackbone``.
        keep: ``"patches"``, ``"all"``, ``"cls"`` or the name of a register.
        size: Size that images are resized to, in pixels (default: they keep theirs). It must be a
            multiple of the side of a patch: 434 for images of 425 pixels and patches of 14.
        frozen: Whether the model stays in evaluation mode and gets no gradient.

    Raises:
        FileNotFoundError: A file that is missing, with where it can be had.
        ImportError: No ``transformers``.
        ValueError: Another kind of model, or what ``ModuleBackbone`` refuses.

    Source: Oquab et al., DINOv2: learning robust visual features without supervision, TMLR 2024,
    https://arxiv.org/abs/2304.07193.
    """
    config, model = _load(path, DINOV2, "facebook/dinov2-base")
    registers = range(getattr(config, "num_register_tokens", 0))
    return ModuleBackbone(
        model,
        numbered(layers, [f"encoder.layer.{k}" for k in range(config.num_hidden_layers)]),
        part=part,
        prefix=("cls", *(f"register{number}" for number in registers)),
        keep=keep,
        preprocessing=Preprocessing(size=size, multiple_of=config.patch_size),
        frozen=frozen,
    )


def clip(
    path: str | os.PathLike[str],
    layers: int | str | Sequence[int | str] = -1,
    *,
    part: str = OUTPUT,
    keep: str = PATCHES,
    frozen: bool = True,
) -> ModuleBackbone:
    """The image encoder of CLIP with the weights of a folder on this machine.

    Images are resized to the size that the model was trained on. The token before the patches is
    named ``"cls"``. Nothing is downloaded.

    Args:
        path: Folder with ``config.json`` and ``model.safetensors``, such as that of
            ``openai/clip-vit-large-patch14`` on the Hugging Face Hub.
        layers: Blocks by number, -1 for the last, or layers by name.
        part: ``"output"``, ``"query"``, ``"key"`` or ``"value"``, as of ``ModuleBackbone``.
        keep: ``"patches"``, ``"all"`` or ``"cls"``.
        frozen: Whether the model stays in evaluation mode and gets no gradient.

    Raises:
        FileNotFoundError: A file that is missing, with where it can be had.
        ImportError: No ``transformers``.
        ValueError: Another kind of model, or what ``ModuleBackbone`` refuses.

    Source: Radford et al., Learning transferable visual models from natural language supervision,
    ICML 2021, https://arxiv.org/abs/2103.00020.
    """
    config, model = _load(path, CLIP, "openai/clip-vit-large-patch14")
    blocks = next(name for name, _ in model.named_modules() if name.endswith("encoder.layers"))
    mean, std = OPENAI_CLIP
    return ModuleBackbone(
        model,
        numbered(layers, [f"{blocks}.{k}" for k in range(config.num_hidden_layers)]),
        part=part,
        prefix=("cls",),
        keep=keep,
        preprocessing=Preprocessing(mean, std, size=config.image_size),
        frozen=frozen,
    )


def _load(path: str | os.PathLike[str], classes: dict[str, str], example: str) -> tuple[Any, Any]:
    """Configuration and model of a folder."""
    folder = Path(path).expanduser()
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"there is no file {folder / name}. Expected {CONFIG} and {WEIGHTS} of a model "
                f"such as {example} on the Hugging Face Hub. Nothing is downloaded here; call once "
                f"`hf download {example} --local-dir {folder}`."
            )
    kind = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("model_type")
    if kind not in classes:
        raise ValueError(
            f"{folder / CONFIG} must have one of the model types {', '.join(classes)}. Got "
            f"{kind!r}; for other models use ModuleBackbone(module, layers)."
        )
    transformers = require("transformers", f"{kind} is read by")
    with _quiet(transformers):
        # From this folder alone: no network, no code, no pickles.
        model, info = getattr(transformers, classes[kind]).from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    # These would stay random.
    if missing := sorted(info["missing_keys"]):
        raise ValueError(
            f"{folder / WEIGHTS} must hold all weights of {classes[kind]}. Got none for "
            f"{missing[0]!r} and {len(missing) - 1} others; get the files anew."
        )
    # Float32 whatever the file has.
    return model.config, model.float()


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without the list of weights that are not needed, those of the texts of CLIP."""
    logging = transformers.logging
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
