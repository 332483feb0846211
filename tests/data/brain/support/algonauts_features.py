"""Features of the images of a fabricated challenge: what a backbone would make of them."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 4  # tokens along each side


def algonauts_features(challenge: Path, folder: Path) -> Path:
    """Writes a file per image of all subjects: mean colours of 4 x 4 parts, and a channel of ones.

    Args:
        challenge: Folder of the challenge, with images of 16 x 16 pixels.
        folder: Folder to be filled with arrays ``[16, 4]`` float32, as it is named like images.

    Returns:
        The folder.
    """
    folder.mkdir()
    for image in challenge.glob("subj*/*_split/*_images/*.png"):
        pixels = np.asarray(Image.open(image), dtype=np.float32) / 128 - 1
        part = len(pixels) // SIDE
        means = pixels.reshape(SIDE, part, SIDE, part, 3).mean((1, 3)).reshape(SIDE**2, 3)
        tokens = np.concatenate([means, np.ones((SIDE**2, 1), dtype=np.float32)], axis=1)
        np.save(folder / f"{image.stem}.npy", tokens)
    return folder
