"""Data sets and tasks as values: readers and generators, functions that return a ``Dataset``.

A ``Task`` is the loss, the metrics and the check of targets; a ``Dataset`` has one, and a ``spec``.
"""

from typing import TypeAlias

from graphcolumns.data.celeba import celeba
from graphcolumns.data.cifar10 import cifar10
from graphcolumns.data.dataset import Batch, Dataset
from graphcolumns.data.digits import digits
from graphcolumns.data.from_npz import from_npz
from graphcolumns.data.image_folder import image_folder
from graphcolumns.data.instructed import InstructedClassification
from graphcolumns.data.matching import matching
from graphcolumns.data.metrics import Metric
from graphcolumns.data.mnist import mnist
from graphcolumns.data.multi_mnist import multi_mnist
from graphcolumns.data.natural_patches import natural_patches
from graphcolumns.data.one_step_inference import one_step_inference
from graphcolumns.data.planted import planted
from graphcolumns.data.regression import Regression, masked
from graphcolumns.data.responses import responses
from graphcolumns.data.shapes import shapes
from graphcolumns.data.spec import Spec, TensorSpec
from graphcolumns.data.streamed import StreamedDataset
from graphcolumns.data.task import Task
from graphcolumns.data.tasks import TASKS, Classification, MultiLabel, Reconstruction
from graphcolumns.data.two_digits import two_digits
from graphcolumns.data.two_formulas import two_formulas

# Both kinds have the same methods.
AnyDataset: TypeAlias = Dataset | StreamedDataset

__all__ = [
    "TASKS",
    "AnyDataset",
    "Batch",
    "Classification",
    "Dataset",
    "InstructedClassification",
    "Metric",
    "MultiLabel",
    "Reconstruction",
    "Regression",
    "Spec",
    "StreamedDataset",
    "Task",
    "TensorSpec",
    "celeba",
    "cifar10",
    "digits",
    "from_npz",
    "image_folder",
    "masked",
    "matching",
    "mnist",
    "multi_mnist",
    "natural_patches",
    "one_step_inference",
    "planted",
    "responses",
    "shapes",
    "two_digits",
    "two_formulas",
]
