"""Displays for experiments on attention: images with their ground truth, drawn on request.

Every function returns images ``[n, 1, size, size]`` float32 in [0, 1] and what is in them. They are
no data sets: a model that was trained on one, such as ``shapes``, is shown these.
"""

from graphcolumns.data.displays.border_ownership import BorderDisplays, border_ownership
from graphcolumns.data.displays.figures import FIGURES, draw_figures
from graphcolumns.data.displays.gain_modulation import TuningDisplays, gain_modulation
from graphcolumns.data.displays.inattentional_blindness import (
    UnexpectedDisplays,
    inattentional_blindness,
)
from graphcolumns.data.displays.perceptual_load import LoadDisplays, perceptual_load

__all__ = [
    "FIGURES",
    "BorderDisplays",
    "LoadDisplays",
    "TuningDisplays",
    "UnexpectedDisplays",
    "border_ownership",
    "draw_figures",
    "gain_modulation",
    "inattentional_blindness",
    "perceptual_load",
]
