"""Features of images from the layers of trained networks, as tokens ``[B, M, D]``.

``backbone`` reads the layers of any module, ``parts`` queries, keys and values of attention,
``tokens`` turns outputs into tokens; ``hugging_face`` and ``torchvision_models`` load DINOv2, CLIP
and ResNets from files on this machine, ``column_features`` reads a sheet of columns.
``cached_features`` keeps features on disk, and ``choose_layers`` compares layers on
validation samples.
"""

from graphcolumns.data.features.backbone import Backbone, ModuleBackbone
from graphcolumns.data.features.cached_features import cached_features
from graphcolumns.data.features.choose_layers import LayerChoice, choose_layers
from graphcolumns.data.features.column_features import ColumnFeatures
from graphcolumns.data.features.feature_cache import FeatureCache
from graphcolumns.data.features.features_from import features_from
from graphcolumns.data.features.hugging_face import clip, dinov2
from graphcolumns.data.features.layers import layer_names
from graphcolumns.data.features.preprocessing import Preprocessing
from graphcolumns.data.features.torchvision_models import resnet

__all__ = [
    "Backbone",
    "ColumnFeatures",
    "FeatureCache",
    "LayerChoice",
    "ModuleBackbone",
    "Preprocessing",
    "cached_features",
    "choose_layers",
    "clip",
    "dinov2",
    "features_from",
    "layer_names",
    "resnet",
]
