"""Losses, metrics, optimizers, schedules and parts of one's own, from a module beside the run."""

import json
import re
from pathlib import Path

import pytest
import torch

from graphcolumns.cli import load, main

DOCS = Path(__file__).parents[2] / "docs" / "configs.md"
TINY = [
    *("geometry=sheet", "geometry.height=4", "geometry.width=4", "graph=nearest", "degree=3"),
    *("model.channels=4", "model.depth=1", "model.heads=1", "model.interface.stride=2", "steps=4"),
    *("data.train_size=60", "batch_size=8", "progress=false", "report=false"),
    *("augmentation=null", "run=a"),
]
MODULE = '''
import torch
from torch import nn

import geometries.grid
from graphcolumns import connect as wire
from graphcolumns.data import digits
from graphcolumns.learning import backprop
from graphcolumns.plasticity import presets


def sparse(model, output, labels, power=1.0):
    return output.state.abs().pow(power).mean()


def wrong_loss(model):
    return 0.0


def largest(model, data, scale=1.0):
    return scale * max(float(p.detach().abs().max()) for p in model.parameters())


def words(model, data):
    return "many"


class Signs(torch.optim.Optimizer):
    """Steps of one size, in the direction of the sign of the gradient."""

    def __init__(self, params, lr, size=1.0):
        super().__init__(params, {"lr": lr, "size": size})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p -= group["lr"] * group["size"] * p.grad.sign()


def no_optimizer(params, lr):
    return lr


def halved(step, steps, after=0.5):
    return 1.0 if step < after * steps else 0.5


def falling_below_zero(step, steps):
    return -1.0


def only(model, batch, terms, *, scaler, parts=1, amp=None, part="readout"):
    values = backprop(model, batch, terms, scaler=scaler, parts=parts, amp=amp)
    for name, p in model.named_parameters():
        if not name.startswith(part):
            p.grad = None
    return values


def few(count=60):
    return digits(train_size=count)


def square(side=4):
    return geometries.grid.sheet(side, side)


def ring_like(geometry, degree=3):
    return wire.nearest(geometry, degree)


def noise(inputs, generator, size=0.1):
    return inputs + size * torch.randn(inputs.shape, generator=generator)


def gentle(steps, every=2):
    return presets.set(steps=steps, every=every, samples=8, check_samples=8, stop=1.0)


class Linear(nn.Module):
    def __init__(self, graph, num_classes):
        super().__init__()
        self.graph, self.out = graph, nn.Linear(64, num_classes)

    def forward(self, inputs):
        logits = self.out(inputs.flatten(1))
        return Output(logits, logits.T[:, :, None], None)


from typing import Any, NamedTuple


class Output(NamedTuple):
    prediction: Any
    state: Any
    cost: Any
'''


@pytest.fixture(autouse=True)
def a_module_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("own_parts.py").write_text(MODULE)
    Path("own_broken.py").write_text("import nowhere_at_all\n")
    Path("own_typo.py").write_text("def f(:\n")


def entries() -> list[dict]:
    return [json.loads(line) for line in Path("a/metrics.jsonl").read_text().splitlines()]


def summary() -> dict:
    return json.loads(Path("a/summary.json").read_text())


def test_a_loss():
    own = ["+losses.mine={_target_:own_parts.sparse,weight:0.5,power:2.0}"]
    assert main(["train", *TINY, *own]) == 0
    for entry in entries():
        assert entry["mine"] > 0
        assert entry["loss"] == pytest.approx(entry["task"] + 0.5 * entry["mine"], rel=1e-5)


def test_a_metric():
    assert main(["train", *TINY, "+metrics.top={_target_:own_parts.largest,scale:2.0}"]) == 0
    model = load("a").model
    assert summary()["top"] == pytest.approx(
        2 * max(float(p.detach().abs().max()) for p in model.parameters())
    )


@pytest.mark.parametrize(
    "more", [[], ["plasticity=set", "plasticity.every=2", "plasticity.samples=8"]]
)
def test_an_optimizer_trains_and_resumes(more, tmp_path):
    Path("mine/optimizer").mkdir(parents=True)
    Path("mine/optimizer/momentum.yaml").write_text(
        "_target_: torch.optim.SGD\nlr: 0.05\nmomentum: 0.9\nweight_decay: 0.01\n"
    )
    more = [*more, *(["plasticity.check_samples=8"] if more else [])]
    words = ["train", "--config-dir", "mine", *TINY, "optimizer=momentum", *more]
    assert main(words) == 0
    before = Path("a/checkpoint/model.safetensors").read_bytes()
    state = load("a").options.optimizer
    assert state.func.__name__ == "SGD"
    assert state.keywords == {"momentum": 0.9}
    assert main(["resume", "a"]) == 0
    assert Path("a/checkpoint/model.safetensors").read_bytes() == before


def test_an_optimizer_of_ones_own_moves_by_its_own_rule():
    own = ["optimizer={_target_:own_parts.Signs,size:2.0}", "optimizer.lr=0.5", "optimizer.clip=9"]
    keys = ["~optimizer.betas", "optimizer.weight_decay=0", "optimizer.warmup=0", "steps=1"]
    assert main(["train", *TINY, "++" + own[0], *own[1:], *keys, "seed=3"]) == 0
    trained = load("a").model
    assert main(["train", *TINY[:-1], "run=b", "steps=1", "optimizer.lr=1e-30", "seed=3"]) == 0
    moved = [
        (p - q).abs().detach()
        for p, q in zip(trained.parameters(), load("b").model.parameters(), strict=True)
    ]
    assert {round(float(v), 4) for m in moved for v in m.flatten()} <= {0.0, 1.0}
    assert any(m.max() > 0 for m in moved)


def test_a_schedule():
    own = "+optimizer.schedule={_target_:own_parts.halved,after:0.5}"
    assert main(["train", *TINY, own, "optimizer.lr=0.002"]) == 0
    assert [entry["lr"] for entry in entries()] == [0.002, 0.002, 0.001, 0.001]


PARTS = {
    "geometry": "square",
    "graph": "ring_like",
    "data": "few",
    "plasticity": "gentle",
}


@pytest.mark.parametrize("group", PARTS)
def test_a_part(group):
    Path("mine", group).mkdir(parents=True)
    Path("mine", group, "own.yaml").write_text(
        f"_target_: own_parts.{PARTS[group]}\n_partial_: {group in ('graph', 'plasticity')}\n"
    )
    words = [word for word in TINY if not word.startswith(f"{group}.")]
    assert main(["train", "--config-dir", "mine", *words, f"{group}=own"]) == 0
    assert summary()["edges"] == 48


def test_an_augmentation():
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/noisy.yaml").write_text(
        "# @package _global_\nname: noisy\naugmentation: {_target_: own_parts.noise, size: 0.2}\n"
    )
    words = [word for word in TINY if not word.startswith("augmentation")]
    assert main(["train", "--config-dir", "mine", *words, "experiment=noisy"]) == 0
    assert load("a").functions["augmentation"].keywords == {"size": 0.2}


def test_a_learning_rule():
    Path("mine/learning").mkdir(parents=True)
    Path("mine/learning/readout.yaml").write_text("_target_: own_parts.only\npart: readout\n")
    words = ["train", "--config-dir", "mine", *TINY, "learning=readout", "steps=2"]
    assert main(words) == 0
    assert main(["train", *TINY[:-1], "run=b", "steps=2", "optimizer.lr=1e-30"]) == 0
    pairs = zip(load("a").model.named_parameters(), load("b").model.parameters(), strict=True)
    moved = {name.partition(".")[0] for (name, p), q in pairs if not torch.allclose(p, q)}
    assert moved == {"readout"}


def test_a_learning_rule_is_part_of_the_run(capsys):
    assert main(["train", *TINY, "steps=2"]) == 0
    config = Path("a/config.yaml")
    config.write_text(
        config.read_text().replace("graphcolumns.learning.backprop", "own_parts.only")
    )
    assert main(["resume", "a"]) == 2
    assert "learn was" in capsys.readouterr().err


def test_a_model_that_names_only_what_it_needs():
    Path("mine/model").mkdir(parents=True)
    Path("mine/model/linear.yaml").write_text("_target_: own_parts.Linear\n_partial_: true\n")
    words = [word for word in TINY if not word.startswith("model.")]
    assert main(["train", "--config-dir", "mine", *words, "model=linear"]) == 0
    assert summary()["parameters"] == 650


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("+losses.x={_target_:own_part.sparse}", "There is no module 'own_part', neither in the"),
        ("+losses.x={_target_:own_parts.sparce}", "own_parts has no 'sparce'. Did you mean 'spars"),
        ("+losses.x={_target_:own_parts.torch.nope}", "own_parts.torch has no 'nope'"),
        (
            "+losses.x={_target_:own_broken.f}",
            "Importing own_broken fails: No module named 'nowher",
        ),
        ("+losses.x={_target_:own_typo.f}", "Importing own_typo fails with SyntaxError"),
        ("+losses.x={_target_:own_parts.MODULE}", "own_parts has no 'MODULE'"),
        (
            "+losses.x={_target_:own_parts.wrong_loss}",
            "losses.x must be a function of (model, output, labels) and of the keys beside "
            "_target_. Got own_parts.wrong_loss(model): too many positional arguments.",
        ),
        ("+losses.x={_target_:own_parts.few}", "losses.x must be a function of (model, output"),
        ("+losses.x={_target_:own_parts.sparse,powr:2}", "unknown key 'losses.x.powr'. Did you m"),
        ("+losses.x={_target_:own_parts.sparse,weight:heavy}", "losses.x.weight must be a number"),
        ("+losses.x=0.1", "unknown key 'losses.x'"),
        ("+losses.task={_target_:own_parts.sparse}", "losses must be named otherwise than"),
        ("+metrics.x=3", "metrics.x must name a function under the key _target_. Got 3."),
        ("+metrics.train_x={_target_:own_parts.largest}", "metrics must be named otherwise"),
        ("+metrics.x={_target_:own_parts.words}", "a metric must return one number. Got str"),
        ("++optimizer._target_=torch.optim.Adagradd", "torch.optim has no 'Adagradd'. Did you mea"),
        ("++optimizer={_target_:own_parts.no_optimizer}", "unknown key 'optimizer.betas'"),
        ("++optimizer={_target_:torch.optim.SGD,momentums:1}", "optimizer."),
        (
            "+optimizer.schedule={_target_:own_parts.falling_below_zero}",
            "must return a share of lr",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_written(capsys, word, message):
    assert main(["train", *TINY, word]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert not Path("a").exists()


def test_the_example_of_the_documentation_runs():
    text = DOCS.read_text()
    own = text[text.index("## Your own configurations") :]
    module, *files = re.findall(r"^```(?:python|yaml)\n(.*?)^```", own, re.MULTILINE | re.DOTALL)
    names = re.findall(r"^`(configs/.*\.yaml)`:$", own, re.MULTILINE)
    assert len(names) == 2
    Path("mine.py").write_text(module)
    for name, content in zip(names, files, strict=False):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_text(content)
    (command,) = re.findall(r"^graphcolumns (train --config-dir configs .*)$", own, re.MULTILINE)
    few = ["run=a", "progress=false", "report=false", "steps=4"]
    assert main([*command.split(), *few, "seed=0"]) == 0
    assert [entry["lr"] for entry in entries()] == [0.05, 0.05, 0.025, 0.025]
    assert all(entry["sparse"] > 0 for entry in entries())
    assert 0 <= summary()["silent"] <= 1
