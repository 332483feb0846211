"""A fabricated folder of the Algonauts challenge 2023: small, with every kind of file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from graphcolumns.data.brain import ROI_NAMES

FSAVERAGE = 163842
LEFT, RIGHT = 150, 160  # vertices


def algonauts_folder(
    folder: Path,
    subjects: Sequence[int] = (1,),
    train: int = 24,
    test: int = 5,
    vertices: tuple[int, int] = (LEFT, RIGHT),
    side: int = 16,
    noise: float = 0.5,
    seed: int = 0,
) -> Path:
    """Writes the tree of some subjects. A vertex responds to the mean of one colour in one quarter.

    Args:
        folder: Folder to be filled.
        subjects: Numbers of subjects.
        train: Number of training images.
        test: Number of test images.
        vertices: Number of vertices of the left and the right hemisphere.
        side: Side of the images, in pixels.
        noise: Standard deviation of the noise, in standard deviations of the signal.
        seed: Seed of images, vertices and noise.

    Returns:
        The folder.
    """
    for subject in subjects:
        draws = np.random.default_rng((seed, subject))
        root = folder / f"subj{subject:02}"
        numbers = draws.permutation(73000)[: train + test]
        pixels = images(draws, train + test, side)
        write_images(root / "training_split/training_images", "train", numbers[:train], pixels)
        write_images(root / "test_split/test_images", "test", numbers[train:], pixels[train:])
        signal = quarters(pixels[:train])
        (root / "training_split/training_fmri").mkdir(parents=True)
        (root / "roi_masks").mkdir()
        for name, count in zip(("lh", "rh"), vertices, strict=True):
            values = signal[:, np.arange(count) % 12] + noise * draws.normal(size=(train, count))
            path = root / f"training_split/training_fmri/{name}_training_fmri.npy"
            np.save(path, values.astype(np.float32))
            write_masks(root / "roi_masks", name, count, draws)
        for family, names in ROI_NAMES.items():
            mapping = {0: "Unknown"} | dict(enumerate(names, 1))
            np.save(root / f"roi_masks/mapping_{family}.npy", mapping)  # pickled, as published
    return folder


def images(draws: np.random.Generator, count: int, side: int) -> np.ndarray:
    """Noise with four quarters of different colours, ``[n, side, side, 3]`` uint8."""
    colours = draws.integers(40, 215, (count, 2, 2, 3))
    large = colours.repeat(side // 2, 1).repeat(side // 2, 2)
    return (large + draws.integers(-30, 30, large.shape)).astype(np.uint8)


def quarters(pixels: np.ndarray) -> np.ndarray:
    """Mean colours of the quarters, z-scored, ``[n, 12]``."""
    half = pixels.shape[1] // 2
    means = pixels.reshape(len(pixels), 2, half, 2, half, 3).mean((2, 4)).reshape(len(pixels), 12)
    return (means - means.mean(0)) / means.std(0)


def write_images(folder: Path, part: str, numbers: np.ndarray, pixels: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for place, number in enumerate(numbers):
        name = f"{part}-{place + 1:04}_nsd-{number:05}.png"
        Image.fromarray(pixels[place]).save(folder / name)


def write_masks(folder: Path, name: str, count: int, draws: np.random.Generator) -> None:
    """Every region in a row of vertices, in each family; the last vertices are in none."""
    vertices = np.sort(draws.permutation(FSAVERAGE)[:count])
    everything = np.zeros(FSAVERAGE, dtype=np.int16)
    everything[vertices] = 1
    np.save(folder / f"{name}.all-vertices_fsaverage_space.npy", everything)
    for family, regions in ROI_NAMES.items():
        ids = np.zeros(count, dtype=np.int16)
        inside = count - count // 10
        ids[:inside] = np.arange(inside) * len(regions) // inside + 1
        np.save(folder / f"{name}.{family}_challenge_space.npy", ids)
        on_mesh = np.zeros(FSAVERAGE, dtype=np.int16)
        on_mesh[vertices] = ids
        np.save(folder / f"{name}.{family}_fsaverage_space.npy", on_mesh)
