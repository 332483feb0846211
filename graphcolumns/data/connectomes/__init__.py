"""Connectomes of brains as values: readers of files of yours and of installed packages."""

from graphcolumns.data.connectomes.celegans import celegans, celegans_stages
from graphcolumns.data.connectomes.connectome import Connectome, connectome_from_matrix
from graphcolumns.data.connectomes.edge_arrays import connectome_geometry
from graphcolumns.data.connectomes.graph import connectome_graph
from graphcolumns.data.connectomes.human import human_tracts
from graphcolumns.data.connectomes.larva import mushroom_body
from graphcolumns.data.connectomes.load import load_connectome
from graphcolumns.data.connectomes.mouse import Mouse, mice, mouse_tracts
from graphcolumns.data.connectomes.optic_lobe import optic_lobe, optic_lobe_types

__all__ = [
    "Connectome",
    "Mouse",
    "celegans",
    "celegans_stages",
    "connectome_from_matrix",
    "connectome_geometry",
    "connectome_graph",
    "human_tracts",
    "load_connectome",
    "mice",
    "mouse_tracts",
    "mushroom_body",
    "optic_lobe",
    "optic_lobe_types",
]
