"""Training on responses with known routing: its first losses, and what attention finds."""

import json

import pytest
import torch
from torch.nn import functional as F

from graphcolumns.cli import main
from graphcolumns.data.brain import routed_responses, routing_of
from graphcolumns.data.metrics import ceiling_fraction_per_target
from graphcolumns.models.brain_encoder import brain_encoder

# Another arithmetic than that of the record rounds otherwise, see support of tests/training.
CLOSE = 2e-6
LOSSES = (1.561657190322876, 1.3747798204421997, 1.3178942203521729)


def test_the_first_losses_are_those_recorded(tmp_path):
    words = "train experiment=routed_responses steps=3 data.train_count=200 data.test_count=50"
    words += f" report=false progress=false evaluate_test=false run={tmp_path}/run"
    assert main(words.split()) == 0
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses == pytest.approx(LOSSES, rel=CLOSE)


@pytest.mark.slow
def test_attention_finds_the_object_and_the_place():
    options = {"size": 4, "regions": {"retinotopic": 1, "content": 1}, "distractors": 3}
    options |= {"train_count": 1200, "test_count": 400}
    data, routing = routed_responses(**options), routing_of(**options)
    torch.manual_seed(0)
    decoder = {"channels": 64, "heads": 4, "hidden": 128, "dropout": 0.0}
    model = brain_encoder(24, data.spec, data.task.regions, decoder=decoder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(500):
        chosen = torch.randint(1200, (64,))
        predicted = model(data.train_inputs["features"][chosen]).prediction
        loss = F.mse_loss(predicted, data.train_targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (1 - step / 500)
        optimizer.step()
    predicted = model.eval()(data.test_inputs).prediction
    fraction = ceiling_fraction_per_target(
        predicted, data.test_targets, data.task.noise_ceiling
    ).detach()
    assert fraction[:12].median() > 0.9
    assert fraction[12:].median() > 0.9
    place = model.attention(data.test_inputs).argmax(2)
    assert (place[1] == routing.test_places[:, 1]).double().mean() > 0.95
    assert int(place[0].mode().values) == int(routing.fields[0].argmax())
