"""Image files: which there are in a folder, and their pixels on one scale."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".tga", ".avif"),
)
# What systems and tools leave behind; names that start with a dot are left out as well.
LITTER = ("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir", "lost+found", "$RECYCLE.BIN")
WHITE_16 = 65535
# Formats whose 32-bit pixels, as Pillow opens them, hold 16 bits.
SIXTEEN_BITS = ("PNG", "PPM")


class Files(NamedTuple):
    """Files below a folder, each list in the order of their paths."""

    images: list[Path]
    others: list[Path]


class Pixels(NamedTuple):
    """What an image file holds: ``[3 or 1, size, size]`` float32 in [0, 1], and how many frames."""

    values: Tensor
    frames: int


def is_litter(path: Path) -> bool:
    """Whether a file or folder is hidden, or left behind by a system or a tool."""
    return path.name.startswith(".") or path.name in LITTER


def find_images(folder: Path) -> Files:
    """All files below a folder, in sub-folders too; links are followed, once each.

    Raises:
        OSError: A folder cannot be listed.
    """
    images: list[Path] = []
    others: list[Path] = []
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        place = os.path.realpath(parent)
        if place in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not is_litter(Path(name)))
        for path in (Path(parent, name) for name in names):
            if not is_litter(path):
                (images if path.suffix.lower() in SUFFIXES else others).append(path)
    return Files(sorted(images), sorted(others))


def read_image(path: Path, size: int, grey: bool) -> Pixels:
    """The pixels of an image, upright and resized.

    Black is 0 and white is 1. Pixels of 1 and 8 bits are divided by their white, 1 and 255; grey
    pixels of 16 bits by 65535 (colours of 16 bits per channel are read with 8, by Pillow). Floating
    pixels are taken as they are and must lie in [0, 1]; whole numbers of 32 bits have no white that
    all agree on, and are refused. Palettes, CMYK and other colours become RGB. What is transparent
    shows black. The orientation in EXIF is applied. Of several frames the first is read.

    Args:
        path: The file; its content decides about its format.
        size: Side in pixels; the image is resized to a square, by a bilinear filter.
        grey: One channel instead of three.

    Raises:
        ValueError: The file cannot be read as an image, or a rule above is broken; the error names
            the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                values = _square(_upright(image), size, grey)
                # What a camera calls several frames are views of one picture.
                frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(
            f"{path} has more pixels than Pillow takes for safe ({error}). Make it smaller or, if "
            "you trust it, raise PIL.Image.MAX_IMAGE_PIXELS."
        ) from error
    # Each decoder has its own errors for a file that is damaged or cut short.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as an image: {error}. Mend or remove it."
        ) from error
    return Pixels(torch.from_numpy(values).permute(2, 0, 1).contiguous(), frames)


def _upright(image: Image.Image) -> Image.Image:
    """The first frame in mode ``L``, ``RGB`` or ``F``, with white at 255, 255 and 1."""
    upright: Image.Image = ImageOps.exif_transpose(image)
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in SIXTEEN_BITS):
        return Image.fromarray(np.asarray(upright, dtype=np.float32) / WHITE_16)
    if mode == "I":
        raise ValueError("whole numbers of 32 bits have no agreed white; save it with 8 or 16 bits")
    if mode == "F":
        pixels = np.asarray(upright)
        if not (pixels.min() >= 0 and pixels.max() <= 1):  # NaN is neither
            raise ValueError(
                "floating pixels must lie in [0, 1], black to white; they go from "
                f"{pixels.min():g} to {pixels.max():g}"
            )
        return upright
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in upright.info:
        visible = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", visible.size, "black"), visible)
    return upright.convert("L" if mode in ("1", "L", "LA", "La") else "RGB")


def _square(image: Image.Image, size: int, grey: bool) -> NDArray[np.float32]:
    """``[size, size, channels]`` in [0, 1]."""
    if image.mode != "F":
        image = image.convert("L" if grey else "RGB")
    resized = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32)
    if image.mode == "F":
        return resized[..., None].repeat(1 if grey else 3, axis=2)
    return resized.reshape(size, size, -1) / np.float32(255)


def _raise(error: OSError) -> None:
    raise error
