import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.amp import GradScaler

from graphcolumns import checkpoint
from graphcolumns.checkpoint.disk import digest
from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity import Plasticity, presets
from graphcolumns.training.optim import adamw
from tests.models.support.variants import make
from tests.plasticity.support.nets import ConvNet
from tests.training.support.tiny import tiny


@pytest.fixture
def run(tmp_path):
    """A run folder with a checkpoint of step 4."""
    path = tmp_path / "run"
    checkpoint.save(path, tiny(), step=4, train_seconds=1.5, permutation=torch.arange(9).flip(0))
    return path


def chain(edges: list[tuple[int, int]], columns: int = 9) -> ColumnGraph:
    return ColumnGraph.from_edge_index(torch.tensor(edges).t(), columns)


def test_everything_comes_back(tmp_path):
    model, scaler = tiny(seed=1), GradScaler("cpu")
    optimizer = adamw(model, 0.1, 0.1, (0.9, 0.95))
    model(torch.rand(3, 1, 3, 3)).prediction.sum().backward()
    optimizer.step()
    model.wiring_norm = 1 / 3
    checkpoint.save(tmp_path, model, step=7, optimizer=optimizer, scaler=scaler, train_seconds=2.5)

    other = tiny(seed=2)
    other_optimizer, other_scaler = adamw(other, 0.1, 0.1, (0.9, 0.95)), GradScaler("cpu", 3.0)
    progress = checkpoint.load(tmp_path, other, optimizer=other_optimizer, scaler=other_scaler)
    assert progress == (7, 2.5)
    assert other.wiring_norm == 1 / 3
    assert other_scaler.state_dict() == scaler.state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    ours, theirs = optimizer.state_dict()["state"], other_optimizer.state_dict()["state"]
    assert ours.keys() == theirs.keys() != set()
    for key in ours:
        assert all(torch.equal(ours[key][name], theirs[key][name]) for name in ours[key])


def test_topology_comes_back(run):
    topology = checkpoint.read_topology(run)
    graph = tiny().graph
    assert topology.in_model().same_topology(graph)
    assert torch.equal(topology.in_model().distance, graph.distance)
    # Column n of the model is column 8 - n of the user.
    assert topology.graph.same_topology(graph.permute(torch.arange(9).flip(0)))
    assert topology.permutation.tolist() == list(range(8, -1, -1))
    assert topology.wiring_norm == 0.1 + 0.2


def test_a_graph_without_distances(tmp_path):
    model = tiny()
    model.graph = chain([(0, 0)])
    checkpoint.save(tmp_path, model, step=0)
    topology = checkpoint.read_topology(tmp_path)
    assert topology.graph.distance is None
    assert topology.permutation is None


def test_tied_weights_and_views(tmp_path):
    class Tied(nn.Linear):
        graph = tiny().graph

    def tied() -> Tied:
        model = Tied(3, 3)
        model.again = model.weight
        model.register_buffer("turned", torch.rand(2, 3).t())
        return model

    model, other = tied(), tied()
    checkpoint.save(tmp_path, model, step=0)
    checkpoint.load(tmp_path, other)
    assert other.again is other.weight
    assert torch.equal(other.weight, model.weight)
    assert torch.equal(other.turned, model.turned)


def test_equal_models_give_equal_files(tmp_path):
    for name in ("a", "b"):
        checkpoint.save(tmp_path / name, tiny(), step=4)
    for name in ("model.safetensors", "topology.safetensors"):
        a, b = ((tmp_path / side / "checkpoint" / name).read_bytes() for side in ("a", "b"))
        assert a == b


def test_a_newer_checkpoint_replaces_the_old_one(run):
    checkpoint.save(run, tiny(seed=5), step=8)
    model = tiny()
    assert checkpoint.load(run, model).step == 8
    assert torch.equal(model.gain, tiny(seed=5).gain)
    assert [path.name for path in run.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("moment", ["written", "old renamed", "new renamed"])
def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(run, monkeypatch, moment):
    class Killed(BaseException):
        pass

    rename, renames = Path.rename, []

    def dying_rename(path, target):
        if moment == "written" or (moment == "old renamed" and renames):
            raise Killed
        renames.append(target)
        rename(path, target)
        if moment == "new renamed" and len(renames) == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dying_rename)
        with pytest.raises(Killed):
            checkpoint.save(run, tiny(seed=5), step=8)
    expected = 8 if moment == "new renamed" else 4
    assert checkpoint.load(run, tiny()).step == expected
    # And the next one is written as if nothing had happened.
    checkpoint.save(run, tiny(seed=6), step=12)
    assert checkpoint.load(run, tiny()).step == 12
    assert [path.name for path in run.iterdir()] == ["checkpoint"]


def test_an_unfinished_checkpoint_does_not_count(run):
    (run / "checkpoint.tmp").mkdir()
    (run / "checkpoint.tmp" / "state.pt").write_bytes(b"half")
    assert checkpoint.load(run, tiny()).step == 4


@pytest.mark.parametrize("name", ["model.safetensors", "topology.safetensors", "state.pt"])
@pytest.mark.parametrize("damage", ["truncated", "emptied", "flipped"])
def test_a_damaged_file_is_named(run, name, damage):
    path = run / "checkpoint" / name
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        # In the weights, in the edges, in the pickled dictionary; a zip file also has padding.
        place = content.find(b"train_seconds") if name == "state.pt" else len(content) - 9
        content[place] ^= 255
    path.write_bytes({"truncated": content[:-20], "emptied": b"", "flipped": content}[damage])
    with pytest.raises(ValueError, match=rf"{name} is damaged \(.*\)\. Restore"):
        checkpoint.load(run, tiny())


@pytest.mark.parametrize("name", ["model.safetensors", "topology.safetensors", "state.pt"])
def test_a_missing_file_is_named(run, name):
    (run / "checkpoint" / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"lacks {name}"):
        checkpoint.load(run, tiny())


def test_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no run folder .*nowhere"):
        checkpoint.load(tmp_path / "nowhere", tiny())
    with pytest.raises(FileNotFoundError, match="there is no checkpoint in"):
        checkpoint.load(tmp_path, tiny())


def test_another_format(run):
    path = run / "checkpoint" / "state.pt"
    state = torch.load(path, weights_only=True)
    torch.save({**state, "format": 99}, path)
    with pytest.raises(
        ValueError, match="format 99; this version of graphcolumns reads formats 1 and 2"
    ):
        checkpoint.load(run, tiny())


def test_code_in_a_checkpoint_is_not_run(run, tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "bang",)

    torch.save({"format": Bomb()}, run / "checkpoint" / "state.pt")
    with pytest.raises(ValueError, match=r"state\.pt is damaged"):
        checkpoint.load(run, tiny())
    assert not (tmp_path / "bang").exists()


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (chain([(0, 0)], columns=3), "num_columns is 9 there and 3 in the model"),
        (chain([(0, 0)]), "num_edges is 17 there and 1 in the model"),
        (
            chain(
                [(i, i) for i in range(9)] + [(i, (i + 1) % 9) for i in range(8)][:-1] + [(2, 8)]
            ),
            # In the ids of the user, who counts from the other end.
            r"edge 1 is \(source, target\) = \(1, 0\) there and \(6, 0\) in the model",
        ),
    ],
)
def test_another_topology(run, graph, message):
    model = tiny()
    before = model.gain.detach().clone()
    model.graph = graph
    with pytest.raises(ValueError, match=f"another topology: {message}"):
        checkpoint.load(run, model)
    assert torch.equal(model.gain, before)


def test_another_model(run):
    with pytest.raises(
        ValueError, match=r"(?s)holds the weights of another model: .*readout\.weight"
    ):
        checkpoint.load(run, tiny(classes=5))


def test_free_folders(tmp_path):
    checkpoint.check_free(tmp_path)
    checkpoint.check_free(tmp_path / "new" / "run")
    (tmp_path / "config.yaml").touch()
    checkpoint.check_free(tmp_path)


def test_taken_folders(run, tmp_path):
    with pytest.raises(FileExistsError, match=r"train\(\.\.\., resume=True\), .*run=OTHER"):
        checkpoint.check_free(run)  # begun in Python
    (run / "config.yaml").touch()
    with pytest.raises(FileExistsError, match=rf"`graphcolumns resume {run}`, .*run=OTHER"):
        checkpoint.check_free(run)
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below" / "deep"):
        with pytest.raises(NotADirectoryError, match="file is a file"):
            checkpoint.check_free(path)
    shutil.rmtree(run)
    checkpoint.check_free(run)


def test_a_text_is_whole_or_absent(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    checkpoint.write_text(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            checkpoint.write_text(path, "new")
    assert path.read_text() == "old"
    checkpoint.write_text(path, "new")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]


def test_a_checkpoint_whose_weights_do_not_name_their_edges(tmp_path, recwarn):
    """As earlier versions wrote them: the topology is in a file of its own."""
    model = make(attention={"edge_bias": "both"})
    checkpoint.save(tmp_path, model, step=1)
    weights, path = dict(model.named_parameters()), tmp_path / "checkpoint/model.safetensors"
    save_file({name: v.detach().clone() for name, v in weights.items()}, path)
    state = torch.load(tmp_path / "checkpoint/state.pt", weights_only=True)
    state["weights_digest"] = digest(path)
    del state["averages"]
    torch.save(state, tmp_path / "checkpoint/state.pt")
    other = make(attention={"edge_bias": "both"})
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    checkpoint.load(tmp_path, other)
    for name, value in other.named_parameters():
        assert torch.equal(value, weights[name]), name
    assert not recwarn.list


def test_a_model_that_knows_nothing_of_state_dicts_comes_back_from_a_run_with_a_rule(tmp_path):
    graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), 4)
    model, fresh = ConvNet(graph), ConvNet(graph)
    changing = Plasticity(presets.set(steps=4))
    changing.start(model)
    checkpoint.save(tmp_path, model, step=1, plasticity=changing.state_dict())
    checkpoint.load(tmp_path, fresh)
    images = torch.randn(2, 1, 2, 2)
    assert torch.equal(fresh(images).prediction, model(images).prediction)
