"""What a sheet is compared with: classifiers of scikit-learn, its operations, and more steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from graphcolumns.data.spec import image_of
from graphcolumns.models.columnformer.width import count_flops
from graphcolumns.studies.shifts import images_of_test_half
from graphcolumns.studies.study_run import StudyRun


def reference_accuracies(run: StudyRun, seed: int = 0) -> dict[str, float]:
    """Accuracies of classifiers without columns, on the samples of the run.

    Nearest neighbour; logistic regression with ``C=1``; a support vector machine with ``C=1`` and
    a Gaussian kernel of .256 per squared pixel value, which is the .001 of scikit-learn's own
    example for pixels from 0 to 16; a network with one hidden layer of 128 units, Adam, at most 300
    epochs or a change of the loss below .001 in ten epochs. None is tuned.

    Args:
        run: Run on images in memory; its model is not used.
        seed: Seed of the initial weights of the network.

    Returns:
        ``nearest_accuracy``, ``logistic_accuracy``, ``svm_accuracy`` and ``mlp_accuracy``, shares
        of the test half.

    Raises:
        TypeError: A data set that is not in memory.
    """
    test, answers = images_of_test_half(run)
    data: Any = run.data
    x, y = _flat(data.train_inputs), data.train_targets.numpy()
    classifiers = {
        "nearest": KNeighborsClassifier(1),
        "logistic": LogisticRegression(max_iter=1000),
        "svm": SVC(gamma=0.256),
        "mlp": MLPClassifier(128, max_iter=300, tol=1e-3, random_state=seed),
    }
    return {
        f"{name}_accuracy": float(each.fit(x, y).score(_flat(test), answers.numpy()))
        for name, each in classifiers.items()
    }


def operations(run: StudyRun) -> dict[str, float]:
    """Operations of the matrix products of a forward pass, per image, as ``flops``."""
    channels, height, width = image_of(run.data.spec).shape
    return {"flops": float(count_flops(run.model, (channels, height, width)))}


@torch.no_grad()
def depth_extrapolation(run: StudyRun, factor: int = 2) -> dict[str, float]:
    """Accuracy on the test half if the columns run longer than they were trained.

    Args:
        run: Run of a columnformer.
        factor: Multiple of the steps of training.

    Returns:
        ``longer_accuracy``; nothing for a feed-forward model, which has no further steps.
    """
    model: Any = run.model
    if not model.recurrent:
        return {}
    images, targets = images_of_test_half(run)
    answers = model(images, depth=factor * model.depth).prediction.argmax(1)
    return {"longer_accuracy": float((answers == targets).double().mean())}


def _flat(images: torch.Tensor) -> np.ndarray[Any, Any]:
    return images.flatten(1).numpy()
