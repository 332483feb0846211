"""The images with the strongest predicted responses of some regions."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure
from torch import Tensor

from graphcolumns.analysis.brain.image_axes import show_image
from graphcolumns.analysis.brain.top_images import Ranking
from graphcolumns.nn.checks import check_counts

ACROSS = 6  # images in a row


def top_images_figure(
    ranking: Ranking,
    images: Tensor | Callable[[int], Tensor],
    k: int = 12,
    unit: str = "predicted sum",
) -> Figure:
    """The first ``k`` images of a ranking, each with its id and its predicted response.

    Args:
        ranking: Ranking of samples, see ``rank_images``.
        images: Images in the order of the predictions, ``[n, C, Y, X]``, or a function from the
            position of a sample to its image ``[C, Y, X]``, where they are read when needed.
        k: Number of images; all, if there are fewer.
        unit: Description of the responses in the title.

    Raises:
        TypeError: Images that are neither a tensor nor a function.
        ValueError: Images of another number of samples, or k below 1.
    """
    check_counts(k=k)
    if not isinstance(images, Tensor) and not callable(images):
        raise TypeError(
            "images must be a tensor [n, C, Y, X] or a function from a position to an image. Got "
            f"{type(images).__name__}; pass lambda k: images[ids[k]], with the id of each sample."
        )
    if isinstance(images, Tensor) and len(images) != len(ranking.samples):
        raise ValueError(
            f"images must be those of the ranking. Expected {len(ranking.samples)} samples. Got "
            f"{len(images)}."
        )
    count = min(k, len(ranking.samples))
    across = min(count, ACROSS)
    down = -(-count // across)
    figure = Figure(figsize=(1.5 * across + 0.2, 1.85 * down + 0.4), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False)
    for cell in axes.flat[count:]:
        cell.set_axis_off()
    for rank, cell in enumerate(axes.flat[:count]):
        position = int(ranking.positions[rank])
        show_image(cell, images[position] if isinstance(images, Tensor) else images(position))
        sample, response = int(ranking.samples[rank]), float(ranking.response[rank])
        cell.set_title(f"{rank + 1}. sample {sample}\n{response:.3g}", fontsize=8)
    regions = ", ".join(ranking.regions)
    figure.suptitle(f"{regions}: {unit} over {ranking.vertices:,} vertices", fontsize=9)
    return figure
