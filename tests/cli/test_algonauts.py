"""The challenge from the command line: train, evaluate, resume, predict, submit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from graphcolumns.analysis.brain import algonauts_score, encoding_table, predict_responses
from graphcolumns.cli import load, main
from graphcolumns.data.brain import algonauts2023, algonauts2023_test, write_submission
from graphcolumns.nn.protocols import graphs_of
from tests.data.brain.support.algonauts_features import algonauts_features
from tests.data.brain.support.algonauts_folder import algonauts_folder, quarters

VERTICES = (60, 66)
BEST = 1.25**-0.5  # correlation of the signal with responses whose noise has half its size
SMALL = [
    *("model.decoder.heads=4", "model.decoder.channels=32", "model.decoder.hidden=32"),
    *("model.decoder.dropout=0", "optimizer.lr=5e-3", "progress=false"),
]


@pytest.fixture(scope="module")
def challenge(tmp_path_factory) -> Path:
    """Two subjects with all files, and features of their images beside them."""
    folder = tmp_path_factory.mktemp("challenge")
    algonauts_folder(folder, (1, 2), train=260, test=30, vertices=VERTICES)
    algonauts_features(folder, folder / "features")
    return folder


def words(challenge: Path) -> list[str]:
    features = f"data.features={challenge / 'features'}"
    return ["experiment=algonauts2023", f"data.folder={challenge}", features, *SMALL]


@pytest.fixture(scope="module")
def runs(challenge, tmp_path_factory) -> Path:
    """A run per subject, from one command."""
    folder = tmp_path_factory.mktemp("runs")
    said = [*words(challenge), "data.subject=1,2", f"hydra.sweep.dir={folder}"]
    named = "hydra.sweep.subdir=subj${data.subject}"
    assert main(["train", "-m", *said, named, "report=false"]) == 0
    return folder


def test_one_command_trains_a_model_per_subject(runs):
    for subject in (1, 2):
        summary = json.loads((runs / f"subj{subject}" / "summary.json").read_text())
        assert summary["steps"] == 195  # 15 epochs of 208 images in batches of 16
        assert 0.85 * BEST < summary["test_pearson_r"] < 1.03 * BEST
    found = [load(runs / f"subj{subject}") for subject in (1, 2)]
    assert not torch.equal(found[0].data.batch("train", torch.tensor([0])).targets,
                           found[1].data.batch("train", torch.tensor([0])).targets)  # fmt: skip
    # 25 regions of each hemisphere, 7 streams, and the vertices in none of them.
    regions = found[0].data.task.regions.with_rest()
    assert graphs_of(found[0].model)["tokens"].num_columns == regions.num_regions
    assert {*regions.families} >= {"prf-visualrois", "floc-faces", "floc-words", "streams"}


def test_evaluating_says_what_training_said(runs, capsys):
    capsys.readouterr()
    assert main(["evaluate", str(runs / "subj1")]) == 0
    said = json.loads(capsys.readouterr().out)
    summary = json.loads((runs / "subj1/summary.json").read_text())
    assert said == {name: summary[name] for name in ("test_loss", "test_r2", "test_pearson_r")}


def test_validation_chooses_and_training_stays_the_same(challenge, runs):
    given = challenge, 1, 224, challenge / "features"
    test, chosen = (algonauts2023(*given, held_out=part) for part in ("test", "validation"))
    rows = torch.arange(5)
    assert torch.equal(test.batch("train", rows).targets, chosen.batch("train", rows).targets)
    assert not torch.equal(test.batch("test", rows).targets, chosen.batch("test", rows).targets)
    model = load(runs / "subj1").model
    scored = predict_responses(model, chosen.in_order("test", 8))
    assert scored.prediction.shape == scored.targets.shape == (26, sum(VERTICES))


def test_a_submission_from_a_run(challenge, runs, tmp_path):
    for subject in (1, 2):
        run = load(runs / f"subj{subject}")
        images = algonauts2023_test(challenge, subject, features=challenge / "features")
        prediction = predict_responses(run.model, images.batches(8)).prediction
        side = run.data.task.regions.hemisphere
        left, right = prediction[:, side == 0], prediction[:, side == 1]
        write_submission(tmp_path / "submission", subject, left, right, challenge)
        for name, values in (("lh", left), ("rh", right)):
            written = np.load(tmp_path / f"submission/subj{subject:02}/{name}_pred_test.npy")
            assert written.dtype == np.float32
            assert np.array_equal(written, values.numpy())
            # What a test image evokes without noise: image i is in row i, vertices in order.
            signal_of = true_signal(images.files)[:, np.arange(written.shape[1]) % 12]
            r = [np.corrcoef(*pair)[0, 1] for pair in zip(written.T, signal_of.T, strict=True)]
            assert np.median(r) > 0.9
            assert min(r) > 0.5
    assert sorted(path.name for path in (tmp_path / "submission").iterdir()) == ["subj01", "subj02"]


def true_signal(files) -> np.ndarray:
    return quarters(np.stack([np.asarray(Image.open(file)) for file in files]))


def test_one_table_and_one_score_of_all_subjects(runs):
    found = {subject: load(runs / f"subj{subject}") for subject in (1, 2)}
    parts = {
        subject: predict_responses(run.model, run.data.in_order("test", 8))
        for subject, run in found.items()
    }
    lines = []
    for subject, part in parts.items():
        task = found[subject].data.task
        table = encoding_table({f"subject {subject}": part.prediction}, part.targets, task)
        lines.append(table.to_markdown(["median_r"]).splitlines())
        assert 0.85 * BEST < table.value("all", f"subject {subject}", "median_r") < 1.03 * BEST
    assert [line.split("|")[1] for line in lines[0]] == [line.split("|")[1] for line in lines[1]]
    ceilings = [torch.full((sum(VERTICES),), BEST**2)] * 2
    score = algonauts_score(
        [part.prediction for part in parts.values()],
        [part.targets for part in parts.values()],
        ceilings,
    )
    assert score.vertices == 2 * sum(VERTICES)
    assert 70 < score.median < 110


def artefacts(run: Path) -> dict[str, bytes]:
    names = ("model.safetensors", "topology.safetensors")
    files = {name: (run / "checkpoint" / name).read_bytes() for name in names}
    return {**files, "metrics": (run / "metrics.jsonl").read_bytes()}


@pytest.mark.parametrize(
    "more",
    [
        ["model.decoder.dropout=0.1"],
        pytest.param(
            ["plasticity=rigl", "plasticity.every=8", "plasticity.samples=16", "model.edges=6"],
            marks=pytest.mark.slow,
        ),
        pytest.param(["model.queries=vertices", "model.chunk=40"], marks=pytest.mark.slow),
    ],
    ids=["regions", "rewired", "vertices in parts"],
)
def test_killed_and_resumed_equals_never_stopped(challenge, tmp_path, more):
    short = ["steps=40", "checkpoint_every=5", "report=false", "evaluate_test=false"]
    said = [*words(challenge), *more, *short]
    assert main(["train", *said, f"run={tmp_path / 'whole'}"]) == 0
    run = tmp_path / "killed"
    kill(said, run, after=12)
    assert not (run / "summary.json").exists()
    assert main(["resume", str(run)]) == 0
    assert artefacts(run) == artefacts(tmp_path / "whole")


def kill(said: list[str], run: Path, after: int) -> None:
    """Starts a run in another process and kills it when so many steps are in its metrics."""
    command = [sys.executable, "-m", "graphcolumns.cli", "train", *said, f"run={run}"]
    process = subprocess.Popen(command, cwd=run.parent)
    metrics = run / "metrics.jsonl"
    try:
        while not (metrics.exists() and metrics.read_bytes().count(b"\n") >= after):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def test_a_folder_that_holds_a_run_is_not_replaced(challenge, runs, capsys):
    assert main(["train", *words(challenge), f"run={runs / 'subj1'}"]) != 0
    assert "subj1" in capsys.readouterr().err


def test_the_run_of_a_subject_has_a_folder_of_its_own(challenge, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words(challenge), "data.subject=2", "steps=2", "report=false"]) == 0
    assert [path.name for path in Path("runs").iterdir()] == ["algonauts2023-subj2-seed0"]


BACKBONE = """
from torch import nn


class Patches(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, images):
        return self.norm(self.patches(images)).flatten(2).transpose(1, 2)
"""


def test_images_go_through_a_frozen_backbone(challenge, tmp_path, monkeypatch, capsys):
    """Its weights are in the checkpoint: a run is resumed, evaluated and loaded as it was."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "patch_backbone.py").write_text(BACKBONE)
    said = [
        *("train", "experiment=algonauts2023", f"data.folder={challenge}", "data.size=16", *SMALL),
        *("model.backbone={_target_:patch_backbone.Patches,width:8}", "model.tokens=[16,8]"),
        *("report=false", "steps=20"),
    ]
    assert main([*said, f"run={tmp_path / 'run'}"]) == 0
    assert main(["resume", str(tmp_path / "run"), "steps=24"]) == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    assert json.loads(capsys.readouterr().out)["test_r2"] == summary["test_r2"]
    model = load(tmp_path / "run").model
    assert not any(value.requires_grad for value in model.backbone.parameters())
    assert model.backbone.norm.num_batches_tracked == 0
    images = algonauts2023_test(challenge, 1, size=16)
    assert predict_responses(model, images.batches(8)).prediction.shape == (30, sum(VERTICES))


def test_images_need_features_or_a_backbone(challenge, capsys):
    assert main(["train", "experiment=algonauts2023", f"data.folder={challenge}"]) == 2
    assert "take features of images as inputs (data.features=...)" in capsys.readouterr().err
