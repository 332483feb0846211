"""The command line in this process, with a sheet small enough to train in a second."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphcolumns import cli
from graphcolumns.cli import main
from graphcolumns.cli.main import COMMANDS

TINY = [
    *("geometry=stack", "geometry.widths=[8]", "graph=nearest", "graph.degree=3"),
    *("model.channels=4", "model.depth=2", "model.heads=1", "data.train_size=60"),
    *("steps=4", "batch_size=8", "progress=false", "experiment=digits", "report=false"),
]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*"))


def summary(run: str | Path) -> dict:
    return json.loads((Path(run) / "summary.json").read_text())


def test_a_report_ends_a_training(capsys):
    assert main(["train", *TINY, "run=a", "report=true"]) == 0
    assert capsys.readouterr().out.endswith("report              a/report.html\n")
    assert "A sheet of 64 columns" in Path("a/report.html").read_text()


def test_train_evaluate_resume_load(capsys):
    assert main(["train", *TINY, "run=a", "evaluate_every=2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("run                 a\n")
    assert "test_accuracy" in out
    names = {path.name for path in Path("a").iterdir()}
    assert names == {"checkpoint", "config.yaml", "metrics.jsonl", "summary.json"}
    assert summary("a")["wiring_length_unit"] == "pixel"

    assert main(["evaluate", "a"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["test_accuracy"] == summary("a")["test_accuracy"]

    before = Path("a/checkpoint/model.safetensors").read_bytes()
    assert main(["resume", "a"]) == 0
    assert Path("a/checkpoint/model.safetensors").read_bytes() == before

    assert main(["report", "a"]) == 0
    assert capsys.readouterr().out.endswith("report              a/report.html\n")
    assert Path("a/report/activity.csv").exists()

    parts = cli.load("a")
    assert parts.graph.num_edges == summary("a")["edges"] == 64 * 3
    assert torch.equal(parts.permutation.sort().values, torch.arange(64))
    logits = parts.model(parts.data.test_inputs).prediction
    accuracy = (logits.argmax(1) == parts.data.test_targets).double().mean().item()
    assert accuracy == summary("a")["test_accuracy"]


def test_a_run_is_read_back_in_the_order_of_the_user():
    main(["train", *TINY, "run=a"])
    from graphcolumns.checkpoint import read_topology

    parts, topology = cli.load("a"), read_topology(Path("a"))
    assert torch.equal(parts.permutation, torch.arange(64))
    assert not torch.equal(topology.permutation, parts.permutation)
    rows = parts.geometry.positions[:, 1].reshape(8, 8)
    assert (rows == rows[:, :1]).all()
    assert (rows[1:] > rows[:-1]).all()
    for graph in (parts.graph, parts.model.graph):
        assert graph.same_topology(topology.graph)


def test_a_fold_is_scored_instead_of_the_test_half(capsys):
    assert main(["train", *TINY, "run=a", "fold=1", "data.train_size=null"]) == 0
    assert summary("a")["test_accuracy"] is None
    assert 0 <= summary("a")["validation_accuracy"] <= 1
    assert "validation_accuracy" in capsys.readouterr().out
    assert len(cli.load("a").data.test_inputs) in (179, 180)
    capsys.readouterr()
    assert main(["evaluate", "a"]) == 0
    assert "validation_accuracy" in json.loads(capsys.readouterr().out)


def test_the_test_half_can_be_left_alone():
    assert main(["train", *TINY, "run=a", "evaluate_test=false"]) == 0
    assert summary("a")["test_accuracy"] is None


def test_the_seed_decides_everything():
    for run, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert main(["train", *TINY, f"run={run}", f"seed={seed}"]) == 0
    weights = [Path(run, "checkpoint/model.safetensors").read_bytes() for run in "abc"]
    assert weights[0] == weights[1] != weights[2]


def test_losses_can_be_switched_on():
    overrides = ["losses.activity=0.1", "losses.smoothness=0.1", "augmentation=null"]
    assert main(["train", *TINY, "run=a", *overrides]) == 0
    entry = json.loads(Path("a/metrics.jsonl").read_text().splitlines()[0])
    assert {"task", "activity", "smoothness"} <= entry.keys()
    assert "wiring" not in entry


def test_a_sweep_writes_one_folder_per_combination(capsys):
    base = [argument for argument in TINY if not argument.startswith("graph.degree")]
    sweep = [
        "-m",
        *base,
        "graph.degree=1,3",
        "hydra.sweep.dir=s",
        "hydra.sweep.subdir=${graph.degree}",
    ]
    assert main(["train", *sweep]) == 0
    assert [summary(f"s/{degree}")["edges"] for degree in (1, 3)] == [64, 192]
    assert main(["train", *sweep]) == 0
    assert "2 runs: 2 kept, 0 done now, 0 failed." in capsys.readouterr().out


def test_the_default_folders(capsys):
    assert main(["train", *TINY, "seed=3"]) == 0
    assert Path("runs/digits-seed3/summary.json").exists()
    assert main(["train", *TINY, "seed=3"]) == 2
    assert "`graphcolumns resume runs/digits-seed3`, or choose another: run=OTHER" in (
        capsys.readouterr().err
    )


def test_own_config_groups():
    Path("mine/graph").mkdir(parents=True)
    Path("mine/graph/lonely.yaml").write_text(
        "_target_: graphcolumns.connect.nearest\n_partial_: true\ndegree: 1\n"
    )
    base = [argument for argument in TINY if not argument.startswith("graph")]
    assert main(["train", "--config-dir", "mine", *base, "graph=lonely", "run=a"]) == 0
    assert summary("a")["edges"] == 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "unknown command 'trian'. Did you mean `graphcolumns train`?"),
        (["experiment=digits"], "Did you mean `graphcolumns train`?"),
        (["fly"], "unknown command 'fly'. Commands: train, resume, evaluate"),
        (["train", "stepz=5"], "unknown key 'stepz'. Did you mean 'steps'? Keys: graph, "),
        (["train", "+foo=1"], "unknown key 'foo'. Did you mean 'fold'?"),
        (["train", "geometri=sheet"], "unknown key 'geometri'. Did you mean 'geometry'?"),
        (
            ["train", "geometry=shet"],
            "unknown choice 'shet' for geometry. Did you mean 'sheet'? Choices: csv, fibonacci, ",
        ),
        (
            ["train", "experiment=digit"],
            "Did you mean 'digits'? Choices: algonauts2023, celeba, cifar10, denoising, digits, ",
        ),
        (
            ["train", "geometry.widhts=3"],
            "unknown key 'geometry.widhts'. Did you mean 'widths'? Keys in geometry: widths,",
        ),
        (
            ["train", "optimizer.steps=5"],
            "unknown key 'optimizer.steps'. Did you mean 'steps', without a group?",
        ),
        (["train", "losses.wirng=1"], "unknown key 'losses.wirng'. Did you mean 'wiring'?"),
        (["train", "+optimizer.momentum=1"], "unknown key 'optimizer.momentum'. Keys in optimizer"),
        (["train", "+model.foo=3"], "unknown key 'model.foo'. Did you mean 'flops'? Keys in model"),
        (["train", "model=transformer"], "Choices: brain_encoder, columnformer"),
        (["train", "steps"], "Write KEY=VALUE"),
        (["train", "steps=abc"], "steps must be a whole number or null. Got 'abc'."),
        (["train", "compile=1"], "compile must be true or false. Got 1."),
        (["train", "graph.degree=2.5"], "graph.degree must be a whole number. Got 2.5."),
        (
            ["train", "geometry.widths=8"],
            "geometry.widths must be a list of a whole number. Got 8.",
        ),
        (["train", "optimizer.betas=[1]"], "must be a list of a number, a number. Got [1]."),
        (["train", "losses.wiring=x"], "losses.wiring must be a number. Got 'x'."),
        (["train", "data.split=half"], "data.split must be one of 'halves', 'random'. Got 'half'."),
        (["train", "augmentation=affine"], "augmentation must name a function under the key _targ"),
        (
            ["train", "graph._target_=graphcolumns.connect.near"],
            "there is no function graphcolumns",
        ),
        (["train", "~graph.degree"], "graph needs graph.degree=..."),
        (["train", "~losses"], "the configuration lacks losses"),
        (["train", "data=mnist"], "these keys need a value: data.path=..."),
        (["train", "data=mnist", "data.path=nowhere"], "/nowhere"),
        (["train", "data=image_folder", "data.path=nowhere"], "/nowhere"),
        (["train", "steps=-4"], "steps must be at least 1. Got -4."),
        (["train", "epochs=0"], "epochs must be above 0. Got 0"),
        (["train", "optimizer.warmup=2"], "warmup is a share and must be in [0, 1]. Got 2."),
        (["train", "optimizer.lr=-1"], "lr must be above 0. Got -1."),
        (["train", "grad_accumulation=100"], "cannot exceed batch_size"),
        (["train", "device=tpu"], "device must be 'cpu', 'cuda' or 'cuda:N'. Got 'tpu'."),
        (["train", "amp=half"], "amp must be None (null), 'bfloat16' or 'float16'. Got 'half'."),
        (["train", "graph.degree=300"], "degree must be in [1, 192]"),
        (["train", "graph.degree=300"], "(while building graph with graphcolumns.connect.nearest)"),
        (["train", "graph=within_radius", "graph.radius=0"], "(while building graph with"),
        (["train", "geometry=sheet", "graph=layered"], "(while building graph with"),
        (["train", "model.channels=10", "model.heads=3"], "heads must divide channels"),
        (["train", "model.weights.attention=untide"], "'untide'"),
        (["train", "model.weights.mpl=shared"], "'model.weights.mpl'. Did you mean 'mlp'?"),
        (["train", "model.weights.rank=two"], "model.weights.rank must be a whole number."),
        (["train", "model.edge_bias=none"], "model.edge_bias is now model.attention.edge_bias."),
        (["train", "+model.std=1"], "model.std is now model.weights.std."),
        (["train", "model.weights=shared"], "model.weights is now model.weights.attention."),
        (["train", "model.attention=mixing"], "model.attention is now model.attention.mode."),
        (
            ["train", "-m", "model.wiring=distance,gaussian"],
            "model.wiring is now model.cost.wiring.",
        ),
        (["train", "fold=5"], "fold must be in [0, folds)"),
        (["train", "data.train_size=3"], "train_size must be between 10"),
        (["train", "losses.wiring=1"], "'wiring' cannot be computed"),
        (["train", "losses.variation=1"], "'variation' cannot be computed"),
        (
            ["train", "steps=50", "plasticity=gmp", "plasticity.degree=2"],
            "a rule needs an update within the run of 50 steps. Got Every(every=100, start=100",
        ),
        (
            [
                "train",
                "steps=99",
                "plasticity=wiring",
                "plasticity.budget=9",
                "plasticity.every=80",
            ],
            "lower every and start to at most 74 steps, or train longer, or let updates stop later",
        ),
        (
            [
                "train",
                "steps=200",
                *"plasticity=gmp plasticity.initial=8 plasticity.degree=2".split(),
            ],
            "It goes to 384 edges at step 101. Got 1 update in 200 steps, the last at step 100",
        ),
        (["train", "run=file"], "file is a file"),
        (["train", "run=file/below"], "file is a file. Choose another: run=FOLDER."),
        (["train", "run=taken"], "run folder taken is not empty, and nothing is overwritten."),
        (["train", "-m", "run=x", "seed=0,1"], "say hydra.sweep.dir=FOLDER"),
        (["train", "-m", "graph.degre=3,4"], "unknown key 'graph.degre'. Did you mean 'degree'?"),
        (["train", "-m", "graph.degree=3,x"], "graph.degree must be a whole number. Got 'x'."),
        (["resume", "nowhere"], "nowhere is not a run folder"),
        (["evaluate", "taken"], "there is no taken/config.yaml"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(capsys, arguments, message):
    Path("file").touch()
    Path("taken").mkdir()
    Path("taken/something").touch()
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err + captured.out
    assert files() == ["file", "taken", "taken/something"]


def test_a_damaged_run(capsys):
    main(["train", *TINY, "run=a"])
    path = Path("a/checkpoint/model.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    for command in ("resume", "evaluate"):
        assert main([command, "a"]) == 2
        assert "model.safetensors is damaged" in capsys.readouterr().err


def test_a_run_whose_configuration_was_changed(capsys):
    main(["train", *TINY, "run=a"])
    config = Path("a/config.yaml")
    config.write_text(config.read_text().replace("degree: 3", "degree: 4"))
    assert main(["resume", "a"]) == 2
    assert "another topology: num_edges is 192 there and 256" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["resume", "evaluate", "report"])
def test_only_the_run_is_required(command, capsys):
    with pytest.raises(SystemExit):
        main([command])
    assert capsys.readouterr().err.endswith("the following arguments are required: RUN\n")


def test_a_traceback_on_request(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match="unknown key"):
        main(["train", "stepz=5"])
    assert os.environ["HYDRA_FULL_ERROR"] == "1"


def test_ctrl_c(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setitem(COMMANDS, "train", interrupted)
    assert main(["train"]) == 130
    assert "`graphcolumns resume RUN`" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help(arguments, capsys):
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for word in ("train", "resume", "evaluate", "geometry", "nearest", "Examples"):
        assert word in out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip()


def test_hydra_shows_the_configuration_and_trains_nothing(capsys):
    assert main(["train", "--cfg", "job", "model.depth=7"]) == 0
    assert "depth: 7" in capsys.readouterr().out
    assert files() == []


@pytest.mark.slow
def test_as_a_program():
    command = [sys.executable, "-m", "graphcolumns.cli", "train", "stepz=5"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("graphcolumns: unknown key 'stepz'. Did you mean 'steps'?")
