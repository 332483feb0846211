"""Every file in configs/ composes, passes the checks, and builds what it names."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from graphcolumns.cli.check import check_config
from graphcolumns.cli.compose import compose
from graphcolumns.cli.help import GROUPS, choices, overview
from graphcolumns.cli.paths import plain
from graphcolumns.cli.prepare import prepare
from graphcolumns.cli.suite import SUITE
from graphcolumns.connect import nearest
from graphcolumns.plasticity.rules.options import PresetOptions

CONFIGS = Path(__file__).parents[1] / "configs"
CHOICES = [(group, choice) for group in GROUPS for choice in choices(group)]
NEEDED = {
    "mnist": ["data.path=FOLDER"],
    "multi_mnist": ["data.path=FOLDER"],
    "cifar10": ["data.path=FOLDER"],
    "celeba": ["data.path=FOLDER"],
    "image_folder": ["data.path=FOLDER"],
    "surface_series": ["data.series=FILE"],
    "nsd_betas": [f"data.{key}=FILE" for key in ("folder", "trials", "inputs", "output")],
    "responses_folder": ["data.folder=FOLDER"],
    "algonauts2023": ["data.folder=FOLDER", "data.subject=1"],
    "npz": ["data.path=FILE"],
    "surface": ["geometry.path=FILE"],
    "csv": [],
    # A package with a connectome must be installed.
    "connectome": [],
    "gmp": ["plasticity.degree=2"],
    "wiring": ["plasticity.budget=300"],
}
FROM_FILE = {
    "geometry": ["geometry.path=FILE", "geometry.unit=mm"],
    "graph": ["graph.path=FILE"],
}


def composed(*overrides: str) -> dict:
    return plain(compose(overrides))


def tensors_of(inputs) -> list[torch.Tensor]:
    return [inputs] if torch.is_tensor(inputs) else list(inputs.values())


def test_the_default_is_the_default_sheet():
    config = composed()
    assert config["name"] == "digits"
    assert config["data"]["split"] == "halves"
    assert config["run"] == "runs/digits-seed0"


def test_groups_are_the_folders():
    folders = {path.name for path in CONFIGS.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == {*GROUPS, SUITE}
    assert len(CHOICES) + len(choices(SUITE)) == len(list(CONFIGS.glob("*/*.yaml")))


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_fits_the_function_it_names(group, choice):
    given = FROM_FILE[group] if choice == "csv" else NEEDED.get(choice, [])
    check_config(composed(f"{group}={choice}", *given))


@pytest.mark.parametrize("choice", [c for c in choices("geometry") if c not in NEEDED])
def test_every_geometry_is_built_and_connected(choice):
    geometry = instantiate(composed(f"geometry={choice}")["geometry"], _convert_="all")
    assert nearest(geometry, 4).num_edges == 4 * geometry.num_columns


@pytest.mark.parametrize("choice", [c for c in choices("graph") if c not in NEEDED])
def test_every_graph_is_built(choice):
    config = composed(f"graph={choice}", "geometry=stack")
    geometry = instantiate(config["geometry"], _convert_="all")
    graph = instantiate(config["graph"], _convert_="all")(geometry)
    # Layers of a feed-forward network have no self-edges.
    own = 0 if choice == "between_areas" else geometry.num_columns
    assert (graph.target == graph.source).sum() == own
    assert graph.distance is not None
    if choice == "isolated":
        assert graph.num_edges == geometry.num_columns


def test_the_graph_of_a_connectome_is_built():
    module = "graphcolumns.data.connectomes"
    config = composed(
        *("graph=connectome", "geometry=ring", "geometry.n=3"),
        f"graph.connectome._target_={module}.connectome_from_matrix",
        *("+graph.connectome.matrix=[[0,2,0],[0,0,1],[0,0,0]]", "+graph.connectome.rows=sources"),
    )
    geometry = instantiate(config["geometry"], _convert_="all")
    graph = instantiate(config["graph"], _convert_="all")(geometry)
    assert graph.edge_index.tolist() == [[0, 0, 1, 1, 2], [0, 1, 1, 2, 2]]


@pytest.mark.parametrize("choice", [c for c in choices("data") if c not in NEEDED])
def test_every_data_set_is_built_whatever_the_seed_of_the_run(choice):
    first, other = (
        instantiate(composed(f"data={choice}", f"seed={seed}")["data"]) for seed in (0, 1)
    )
    assert all(map(torch.equal, tensors_of(first.train_inputs), tensors_of(other.train_inputs)))


@pytest.mark.parametrize("choice", choices("experiment"))
def test_every_experiment_can_be_run_without_edges(choice):
    config = composed(f"experiment={choice}", "graph=isolated", *NEEDED.get(choice, []))
    check_config(config)
    assert config["graph"]["degree"] == 1


def test_the_seed_reaches_random_graphs():
    assert composed("graph=random", "seed=7")["graph"]["seed"] == 7


@pytest.mark.parametrize("choice", [c for c in choices("experiment") if c not in NEEDED])
def test_every_experiment_is_built_and_names_its_own_folder(choice):
    config = composed(f"experiment={choice}", "report=false")
    parts = prepare(config).parts
    assert config["name"] == choice, "two experiments of one name would share a run folder"
    assert parts.model.graph.num_columns == parts.geometry.num_columns


def test_every_key_has_a_comment():
    for path in CONFIGS.rglob("*.yaml"):
        assert path.read_text().startswith("#"), f"{path} does not say what it is"


def test_the_custom_rule_spells_out_every_option_of_presets():
    written = set(OmegaConf.load(CONFIGS / "plasticity/custom.yaml"))
    assert set(PresetOptions.__annotations__) - written == {"degree"}, "degree is a budget there"


def test_no_resolver_and_no_logic():
    known = {"run", "seed", "name", "degree", "hydra.job.override_dirname", "data.subject"}
    for path in CONFIGS.rglob("*.yaml"):
        text = path.read_text()
        used = {part.partition("}")[0] for part in text.split("${")[1:]}
        keys = set(OmegaConf.load(path)) if path.parent.name == "experiment" else set()
        assert used <= known | keys, path


def test_help_lists_every_choice():
    text = overview()
    for group, choice in CHOICES:
        listed = text.partition(f"\n  {group} ")[2].partition("(")[0]
        assert choice in listed.replace(",", " ").split()
    assert max(map(len, text.splitlines())) <= 100
