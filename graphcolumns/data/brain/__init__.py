"""Data of brain encoders: features of images, responses of a cortex to them, a brain at rest."""

from graphcolumns.data.brain.algonauts import (
    ChallengeInputs,
    algonauts2023,
    algonauts2023_images,
    algonauts2023_test,
    challenge_vertices,
)
from graphcolumns.data.brain.nsd import nsd_betas
from graphcolumns.data.brain.nsd_files import nsd_trials
from graphcolumns.data.brain.responses_folder import responses_folder
from graphcolumns.data.brain.resting_state import (
    RestingState,
    confound_table,
    regress_out,
    resting_state,
)
from graphcolumns.data.brain.roi_names import ROI_NAMES, roi_names
from graphcolumns.data.brain.routed import routed_responses, routing_of
from graphcolumns.data.brain.routing import Routing
from graphcolumns.data.brain.splits import ThreeWay, three_way
from graphcolumns.data.brain.submission import write_submission
from graphcolumns.data.brain.surface_series import surface_series
from graphcolumns.data.brain.time_folds import time_folds

__all__ = [
    "ROI_NAMES",
    "ChallengeInputs",
    "RestingState",
    "Routing",
    "ThreeWay",
    "algonauts2023",
    "algonauts2023_images",
    "algonauts2023_test",
    "challenge_vertices",
    "confound_table",
    "nsd_betas",
    "nsd_trials",
    "regress_out",
    "responses_folder",
    "resting_state",
    "roi_names",
    "routed_responses",
    "routing_of",
    "surface_series",
    "three_way",
    "time_folds",
    "write_submission",
]
