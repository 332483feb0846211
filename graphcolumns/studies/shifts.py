"""What a trained classifier makes of shifted images and of permuted columns."""

from __future__ import annotations

from typing import Any

import torch

from graphcolumns.analysis.invariance import (
    lie_derivative_error,
    permutation_error,
    shift_consistency,
)
from graphcolumns.data import Dataset
from graphcolumns.studies.study_run import StudyRun


def shift_invariance(run: StudyRun, reach: int = 1, samples: int = 50) -> dict[str, float]:
    """Answers to shifted test images: do they stay, and are they right?

    Zeros enter at the border, so that a data set with a margin of ``reach`` empty pixels loses
    nothing. Places of training and of test images are the same but for the shift.

    Args:
        run: Trained run of a classifier of images.
        reach: Largest shift in pixels, down and to the right.
        samples: Number of test images for the Lie derivative.

    Returns:
        ``shift_consistency`` (share of answers that stay, mean over all shifts),
        ``novel_accuracy`` (mean over all shifts but the one by 0), ``lie_error`` (of
        probabilities, per pixel).

    Raises:
        TypeError: A data set that is not in memory.
        ValueError: As ``analysis.invariance.shift_consistency``.
    """
    images, targets = images_of_test_half(run)
    found = shift_consistency(run.model, images, reach, border="padded", targets=targets)
    accuracy: Any = found.accuracy
    others = accuracy.numel() - 1
    model = run.model
    error = lie_derivative_error(lambda x: model(x).prediction.softmax(1), images[:samples])
    return {
        "shift_consistency": found.consistency,
        "novel_accuracy": float(accuracy.sum() - accuracy[reach, reach]) / others,
        "lie_error": error.absolute,
    }


def permutation_errors(run: StudyRun, batch: int = 4, seed: int = 0) -> dict[str, float]:
    """Relative error of the first layer of columns if they change their order.

    Args:
        run: Trained run of a sheet, without scores per edge (``edge_bias="none"``).
        batch: Number of random states.
        seed: Seed of states and order.

    Returns:
        ``permutation_error`` with the parameters where they were, and
        ``permuted_parameters_error`` with parameters that change places along with the columns,
        which is rounding for every layer.
    """
    layer: Any = run.model.get_submodule("columns.0")
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(run.graph.num_columns, batch, layer.channels, generator=generator)
    fixed = permutation_error(layer, x, run.graph, seed=seed)
    moved = permutation_error(layer, x, run.graph, parameters="permuted", seed=seed)
    return {"permutation_error": fixed, "permuted_parameters_error": moved}


def images_of_test_half(run: StudyRun) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and classes of the test half.

    Raises:
        TypeError: A data set that is not in memory, or with other inputs than one tensor.
    """
    data = run.data
    if not isinstance(data, Dataset) or not isinstance(data.test_inputs, torch.Tensor):
        raise TypeError(
            "the test half must be one tensor of images in memory. Got "
            f"{type(data).__name__}; take data=digits."
        )
    return data.test_inputs, data.test_targets
