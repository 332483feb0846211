"""What a user gives and gets has the user's ids, whatever order the columns have inside."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from graphcolumns import checkpoint, cli
from graphcolumns.checkpoint import read_history, read_topology, replay
from graphcolumns.cli import main
from graphcolumns.cli.build import build
from graphcolumns.cli.compose import compose
from graphcolumns.cli.paths import plain
from graphcolumns.cli.run_folder import parts_of, read_config
from graphcolumns.plasticity import Rule

COLUMNS = 40
OWN = """
import numpy as np, torch
from graphcolumns import connect
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer import sheet
from graphcolumns.plasticity import presets

def positions(path):
    return Geometry(torch.from_numpy(np.loadtxt(path, delimiter=",")).float(), unit="mm")

def read(path):
    return torch.from_numpy(np.loadtxt(path, delimiter=",", dtype=np.int64)).t()

def graph(geometry, path):
    assert torch.equal(geometry.positions, positions("positions.csv").positions)
    edges = read(path)
    distance = geometry.distance(edges[1], edges[0])
    return ColumnGraph.from_edge_index(edges, geometry.num_columns, distance=distance)

def unchecked_graph(geometry, path):
    return ColumnGraph.from_edge_index(read(path), geometry.num_columns).remeasure(geometry)

def edge_list(geometry, path):
    return read(path)

def edge_array(geometry, path):
    return read(path).numpy()

def data_of(geometry, path):
    return graph(geometry, path).to_data(geometry)

def nonsense(geometry):
    return [[0, 1], [1, 2]]

def too_many(geometry):
    return ColumnGraph.from_edge_index(torch.tensor([[0], [40]]), 41)

def model(geometry, graph, image_size, in_channels, num_classes):
    assert torch.equal(geometry.positions, positions("positions.csv").positions)
    return sheet(geometry, graph, image_size=image_size, in_channels=in_channels,
                 num_classes=num_classes, channels=4, heads=1, depth=2, interface={"patch": 4})

def watchful(edges):
    assert torch.equal(edges.geometry.positions, positions("positions.csv").positions)
    return torch.zeros(edges.graph.num_edges)

def rule(steps, **options):
    return presets.set(steps, **options)
"""
SHORT = [
    *("experiment=digits", "augmentation=null", "data.train_size=140", "steps=4", "batch_size=4"),
    *("progress=false", "report=false", "evaluate_test=false", "checkpoint_every=2"),
    *(
        "model.channels=4",
        "model.heads=1",
        "model.depth=2",
        "model.interface.patch=4",
        "model.interface.stride=4",
    ),
    *("model.interface.padding=0", "~geometry.widths", "~geometry.offset", "~graph.degree"),
    *("~graph.self_loops", "geometry._target_=own_order.positions"),
    "+geometry.path=positions.csv",
]
# The same from the catalogue alone.
CSV = [
    *(argument for argument in SHORT if not argument.startswith(("~g", "geometry", "+geometry"))),
    *("geometry=csv", "geometry.path=positions.csv", "geometry.unit=mm"),
    *("graph=csv", "graph.path=edges.csv"),
]
FROM_FILE = [*SHORT, "graph._target_=own_order.graph", "+graph.path=edges.csv"]
CHANGING = [
    "plasticity=set",
    "plasticity.every=2",
    "plasticity.fraction=0.3",
    "plasticity.stop=1.0",
]


def asymmetric(generator: np.random.Generator) -> np.ndarray:
    """Directed edges (source, target) in any order, with irregular degrees and no symmetry."""
    pairs = {
        (int(source), target)
        for target in range(COLUMNS)
        for source in generator.choice(COLUMNS, 1 + target % 7, replace=False)
    }
    return generator.permutation(sorted(pairs))


@pytest.fixture
def edges(tmp_path, monkeypatch):
    """A folder with positions and edges of a user, and functions that read them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    generator = np.random.default_rng(3)
    (tmp_path / "own_order.py").write_text(OWN)
    np.savetxt("positions.csv", generator.random((COLUMNS, 2)) * 8, delimiter=",")
    pairs = asymmetric(generator)
    np.savetxt("edges.csv", pairs, delimiter=",", fmt="%d")
    yield {tuple(pair) for pair in pairs.tolist()}
    import sys

    sys.modules.pop("own_order", None)


def pairs_of(graph) -> set[tuple[int, int]]:
    return set(map(tuple, graph.edge_index.t().tolist()))


def table(run: str, name: str) -> list[dict[str, str]]:
    with Path(run, "report", f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_an_edge_list_comes_out_as_it_went_in(edges):
    assert main(["train", *FROM_FILE, "run=a"]) == 0
    parts, topology = cli.load("a"), read_topology("a")
    for graph in (parts.graph, parts.model.graph, topology.graph):
        assert pairs_of(graph) == edges
    # Inside, columns stand in another order: the test would otherwise show nothing.
    assert pairs_of(parts_of("a").graph) != edges
    positions = torch.from_numpy(np.loadtxt("positions.csv", delimiter=",")).float()
    assert torch.equal(parts.geometry.positions, positions)
    target, source = parts.graph.target, parts.graph.source
    assert torch.equal(parts.graph.distance, parts.geometry.distance(target, source))
    assert torch.equal(topology.graph.distance, parts.graph.distance)


def test_positions_and_edges_come_from_csv_files(edges):
    assert main(["train", *CSV, *CHANGING, "run=a", "report=true"]) == 0
    parts = cli.load("a")
    positions = np.loadtxt("positions.csv", delimiter=",")
    assert np.allclose(parts.geometry.positions.numpy(), positions)
    assert parts.geometry.unit == "mm"
    events = read_history("a")
    assert pairs_of(replay(events[:1], COLUMNS)) == edges
    ended = replay(events, COLUMNS)
    for graph in (parts.graph, parts.model.graph, read_topology("a").graph):
        assert ended.same_topology(graph)
    listed = {(int(row["source"]), int(row["target"])) for row in table("a", "wires")}
    assert listed == pairs_of(ended)
    moved = table("a", "wiring_over_time")
    first = {(int(r["source"]), int(r["target"])) for r in moved if r["born_at"] == "0"}
    assert first == edges


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("edges.csv", "0,1\n0,40\n", "target ids of"),
        ("edges.csv", "0,1\n0,1\n", "must be unique"),
        ("positions.csv", "0,1\n1,x\n", "must hold finite numbers"),
    ],
)
def test_a_wrong_file_ends_before_anything_is_written(edges, capsys, file, text, message):
    Path(file).write_text(text)
    assert main(["train", *CSV, "run=a"]) == 2
    assert message in capsys.readouterr().err
    assert not Path("a").exists()


@pytest.mark.parametrize("function", ["edge_list", "edge_array", "data_of"])
def test_edges_may_come_bare_and_are_measured(edges, function):
    arguments = [*FROM_FILE, f"graph._target_=own_order.{function}"]
    parts = build(plain(compose(arguments)))
    user = parts.graph.permute(parts.permutation.argsort())
    assert pairs_of(user) == edges
    expected = parts.geometry.distance(parts.graph.target, parts.graph.source)
    assert torch.allclose(parts.graph.distance, expected)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nonsense", "a graph function must return a ColumnGraph, or edges [2, E]"),
        ("too_many", "must place 41 columns"),
    ],
)
def test_what_is_no_graph_of_these_columns_is_an_error(edges, capsys, function, message):
    arguments = [*SHORT, f"graph._target_=own_order.{function}", "run=a"]
    assert main(["train", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert f"(while building graph with own_order.{function})" in err


def test_a_pair_without_a_path_is_named_in_the_ids_of_the_user(edges, capsys):
    own = ["geometry=fsaverage", "geometry.level=2", "graph=complete", "experiment=digits"]
    with pytest.raises(ValueError, match="from column") as raised:
        build(plain(compose([*own, "reorder=false"])))
    with pytest.raises(ValueError, match="from column") as inside:
        build(plain(compose([*own, "reorder=true"])))
    assert str(inside.value) == str(raised.value)


def test_birth_and_death_have_the_ids_of_the_user(edges):
    assert main(["train", *FROM_FILE, *CHANGING, "run=a"]) == 0
    events, topology, parts = read_history("a"), read_topology("a"), cli.load("a")
    first = json.loads(Path("a/edges.jsonl").read_text().splitlines()[0])
    assert first["order"] == "user"
    assert {(source, target) for target, source in first["born"]} == edges
    assert pairs_of(replay(events[:1], COLUMNS)) == edges
    assert len(events) == 3
    assert all(event.born.shape[1] > 5 for event in events[1:])
    for event in events:
        for ends in (event.died, event.born):
            keys = ends[0] * COLUMNS + ends[1]
            assert (keys.diff() > 0).all()
    ended = replay(events, COLUMNS)
    assert pairs_of(ended) != edges
    for graph in (topology.graph, parts.graph, parts.model.graph):
        assert ended.same_topology(graph)
    # Replayed on the user's geometry, wires are as long as the run says.
    wire = float(ended.remeasure(parts.geometry).distance.double().sum())
    assert wire == pytest.approx(json.loads(Path("a/summary.json").read_text())["wiring_length"])


def test_the_tables_of_the_report_have_the_ids_of_the_user(edges):
    assert main(["train", *FROM_FILE, "run=a", "report=true"]) == 0
    expected = [sum(target == column for _, target in edges) for column in range(COLUMNS)]
    rows = table("a", "degrees")
    columns = {int(row["column"]): int(row["in_degree"]) for row in rows}
    assert [columns[n] for n in range(COLUMNS)] == expected
    rows = {(int(row["source"]), int(row["target"])): row for row in table("a", "wires")}
    assert rows.keys() == edges
    positions = np.loadtxt("positions.csv", delimiter=",")
    for (source, target), row in rows.items():
        length = np.linalg.norm(positions[source] - positions[target])
        assert float(row["distance"]) == pytest.approx(length, abs=1e-5)
    heard = {(int(r["source"]), int(r["target"])) for r in table("a", "attention_of_columns")}
    shown = {target for _, target in heard}
    assert heard == {(source, target) for source, target in edges if target in shown}


def test_the_loaded_model_is_that_of_the_run_in_the_order_of_the_user(edges):
    assert main(["train", *FROM_FILE, *CHANGING, "run=a", "model.interface.readout=spatial"]) == 0
    inner, user = parts_of("a"), cli.load("a")
    inputs = user.data.test_inputs[:16]
    with torch.no_grad():
        theirs, ours = inner.model(inputs), user.model(inputs)
    assert torch.allclose(theirs.prediction, ours.prediction, atol=1e-5)
    assert torch.allclose(theirs.state, ours.state[inner.permutation], atol=1e-5)
    assert not torch.allclose(theirs.state, ours.state, atol=1e-2)
    assert user.permutation.tolist() == list(range(COLUMNS))
    assert not user.model.training


@pytest.mark.parametrize("reorder", ["true", "false"])
def test_all_parts_of_a_loaded_run_have_the_order_of_the_user(edges, reorder):
    assert main(["train", *FROM_FILE, *CHANGING, "run=a", f"reorder={reorder}"]) == 0
    inner, run = parts_of("a"), cli.load("a")
    inside = inner.permutation.tolist() != list(range(COLUMNS))
    assert inside == (reorder == "true")
    placed = torch.from_numpy(np.loadtxt("positions.csv", delimiter=",")).float()
    assert torch.equal(run.geometry.positions, placed)
    assert run.permutation.tolist() == list(range(COLUMNS))
    assert run.graph.same_topology(run.model.graph)
    # The history and the topology on disk have the user's ids too.
    assert run.graph.same_topology(replay(read_history("a"), COLUMNS))
    assert run.graph.same_topology(read_topology("a").graph)
    user = run.graph
    assert torch.allclose(user.distance, run.geometry.distance(user.target, user.source))
    assert run.metrics["step"].tolist() == [1, 2, 3, 4]
    assert torch.equal(run.data.test_inputs, inner.data.test_inputs)
    # What it was trained with can be given to `train` again.
    assert run.options.steps == 4
    assert isinstance(run.functions["plasticity"](steps=4), Rule)


@pytest.mark.parametrize(
    "kind",
    [
        ["model.attention.mode=selection", "model.attention.edge_bias=both"],
        ["model.weights.attention=mixture"],
        [
            "model.weights.attention=lowrank",
            "model.weights.recurrent=false",
            "model.interface.time_embedding=true",
        ],
        [
            "model.interface.inputs=first_sheet",
            "model.interface.readout=spatial",
            "model.interface.outputs=last_sheet",
        ],
    ],
)
def test_every_kind_of_weights_is_loaded_in_the_order_of_the_user(edges, kind):
    assert main(["train", *FROM_FILE, *kind, "run=a"]) == 0
    inner, user = parts_of("a"), cli.load("a")
    inputs = user.data.test_inputs[:8]
    with torch.no_grad():
        theirs, ours = inner.model(inputs), user.model(inputs)
    assert torch.allclose(theirs.prediction, ours.prediction, atol=1e-5)
    assert torch.allclose(theirs.state, ours.state[inner.permutation], atol=1e-4)
    assert inner.model.state_dict().keys() == user.model.state_dict().keys()


def test_a_model_that_does_not_say_what_it_keeps_per_column_is_not_read_back_wrongly(
    edges, monkeypatch
):
    from graphcolumns.models.columnformer import Columnformer

    assert main(["train", *FROM_FILE, "run=a"]) == 0
    monkeypatch.setattr(Columnformer, "column_tensors", ())
    with pytest.raises(ValueError, match="Columnformer answers otherwise with its columns in the"):
        cli.load("a")
    assert pairs_of(parts_of("a").graph) != edges


def test_pinned_and_forbidden_pairs_have_the_ids_of_the_user(edges):
    pinned = sorted(edges)[:60]
    forbidden = [(s, t) for s in range(COLUMNS) for t in range(COLUMNS) if (s, t) not in edges]
    forbidden = [pair for pair in forbidden if pair[1] % 2]
    ends = {"pinned": pinned, "forbidden": forbidden}
    lists = [
        f"{name}:[[{','.join(str(s) for s, _ in pairs)}],[{','.join(str(t) for _, t in pairs)}]]"
        for name, pairs in ends.items()
    ]
    own = f"_target_:graphcolumns.plasticity.Constraints,{','.join(lists)}"
    rule = [*CHANGING, "plasticity.fraction=0.9", f"++plasticity.constraints={{{own}}}"]
    assert main(["train", *FROM_FILE, *rule, "run=a"]) == 0
    dead, born = set(), set()
    for event in read_history("a")[1:]:
        dead |= {(s, t) for t, s in event.died.t().tolist()}
        born |= {(s, t) for t, s in event.born.t().tolist()}
    assert dead
    assert born
    assert not dead & set(pinned)
    assert not born & set(forbidden)


def test_a_constraint_that_the_edges_break_names_the_column_of_the_user(edges, capsys):
    own = "++plasticity.constraints={_target_:graphcolumns.plasticity.Constraints,min_in:2}"
    assert main(["train", *FROM_FILE, *CHANGING, own, "run=a"]) == 2
    first = min(n for n in range(COLUMNS) if sum(t == n for _, t in edges) < 2)
    assert f"the number of in-edges of column {first} must be at least 2" in capsys.readouterr().err
    assert not Path("a").exists()


def test_a_model_of_the_user_meets_only_the_order_of_the_user(edges):
    Path("mine/model").mkdir(parents=True)
    Path("mine/model/own.yaml").write_text("_target_: own_order.model\n_partial_: true\n")
    arguments = [argument for argument in FROM_FILE if not argument.startswith("model.")]
    own = ["--config-dir", "mine", "model=own"]
    assert main(["train", *own, *arguments, "run=a"]) == 0
    assert torch.equal(parts_of("a").permutation, torch.arange(COLUMNS))
    assert pairs_of(read_topology("a").graph) == edges


def test_a_score_of_the_user_meets_only_the_order_of_the_user(edges):
    rule = [
        "plasticity=custom",
        "plasticity.every=2",
        "plasticity.prune._target_=own_order.watchful",
    ]
    assert main(["train", *FROM_FILE, *rule, "run=a"]) == 0
    assert pairs_of(replay(read_history("a")[:1], COLUMNS)) == edges


@pytest.mark.parametrize("reorder", ["true", "false"])
def test_the_order_inside_can_be_chosen(edges, reorder):
    arguments = [*FROM_FILE, f"reorder={reorder}", "run=a"]
    assert main(["train", *arguments]) == 0
    same = torch.equal(parts_of("a").permutation, torch.arange(COLUMNS))
    assert same is (reorder == "false")
    assert pairs_of(cli.load("a").graph) == edges


def test_what_columns_see_can_be_listed_in_the_order_of_the_user(edges):
    seen = [n % 4 if n % 3 else -1 for n in range(COLUMNS)]
    assert (
        main(["train", *FROM_FILE, f"+model.interface.receptive={seen}".replace(" ", ""), "run=a"])
        == 0
    )
    assert cli.load("a").model.receptive.tolist() == seen
    assert parts_of("a").model.receptive.tolist() != seen


def test_another_edge_list_is_refused_in_the_ids_of_the_user(edges, capsys):
    assert main(["train", *FROM_FILE, "run=a"]) == 0
    text = Path("edges.csv").read_text().splitlines()
    _, target = map(int, text[0].split(","))
    other = next(s for s in range(COLUMNS) if (s, target) not in edges)
    Path("edges.csv").write_text("\n".join([f"{other},{target}", *text[1:]]))
    for command in ("resume", "evaluate"):
        assert main([command, "a"]) == 2
        err = capsys.readouterr().err
        assert "another topology" in err
        assert f", {target}) there and" in err
        assert f", {target}) in the model" in err


def as_written_before(run: Path) -> None:
    """Turn a run folder into one of a version that kept the ids of the model."""
    from safetensors.torch import save_file

    topology = read_topology(run)
    graph, permutation = topology.in_model(), topology.permutation
    place = permutation.argsort()
    lines = []
    for event in read_history(run):
        pairs = {}
        for name in ("died", "born"):
            ends = place[getattr(event, name)].t().tolist()
            pairs[name] = sorted(ends)
        lines.append(json.dumps({"step": event.step, "update": event.update, **pairs}))
    (run / "edges.jsonl").write_text("\n".join(lines) + "\n")
    tensors = {
        "rowptr": graph.rowptr, "source": graph.source, "distance": graph.distance,
        "permutation": permutation,
    }  # fmt: skip
    about = {
        "hash": checkpoint.topology._hash(tensors), "num_columns": COLUMNS,
        "num_sources": COLUMNS, "num_edges": graph.num_edges, "wiring_norm": topology.wiring_norm,
    }  # fmt: skip
    path = run / "checkpoint" / "topology.safetensors"
    save_file(tensors, path, {"graphcolumns": json.dumps(about)})
    state = torch.load(run / "checkpoint" / "state.pt", weights_only=True)
    torch.save({**state, "format": 1}, run / "checkpoint" / "state.pt")
    (run / "checkpoint" / "about.json").unlink()


def test_a_run_of_an_earlier_version_is_read_and_resumed(edges):
    base = [a for a in SHORT if not a.startswith("~graph")]
    arguments = [*base, *CHANGING, "graph=nearest", "graph.degree=3"]
    assert main(["train", *arguments, "run=now"]) == 0
    shutil.copytree("now", "before")
    as_written_before(Path("before"))
    config = Path("before/config.yaml")
    config.write_text(config.read_text().replace("reorder: null\n", ""))
    assert read_config(Path("before"))["reorder"] == "before_graph"

    now, before = cli.load("now"), cli.load("before")
    assert now.graph.same_topology(before.graph)
    assert read_topology("now").graph.same_topology(read_topology("before").graph)
    for ours, theirs in zip(read_history("now"), read_history("before"), strict=True):
        assert torch.equal(ours.died, theirs.died)
        assert torch.equal(ours.born, theirs.born)
    assert main(["resume", "before"]) == 0
    for name in ("edges.jsonl", "metrics.jsonl"):
        assert Path("before", name).read_bytes() == Path("now", name).read_bytes()


def test_an_own_graph_of_an_earlier_version_keeps_the_edges_it_was_trained_with(edges):
    arguments = [*SHORT, "graph._target_=own_order.unchecked_graph", "+graph.path=edges.csv"]
    parts = build({**plain(compose(arguments)), "reorder": "before_graph"})
    assert pairs_of(parts.graph) == edges
    assert not torch.equal(parts.permutation, torch.arange(COLUMNS))
