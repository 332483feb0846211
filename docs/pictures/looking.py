"""Attention and receptive fields of encoders of simulated responses, beside the truth.

Prints the table of docs/brain/looking.md and draws its picture: OMP_NUM_THREADS=1, one minute per
seed. Run in the root of the repository.
"""

from pathlib import Path
from tempfile import mkdtemp

import torch

from graphcolumns import train
from graphcolumns.analysis.brain import (
    attention_figure,
    attention_maps,
    gradient_maps,
    query_fields,
)
from graphcolumns.data.brain import routed_responses, routing_of
from graphcolumns.models.brain_encoder import brain_encoder

PICTURE = Path("docs/_static/attention_of_regions.png")
SHOWN = ["retinotopic 1", "content 1", "mixed 1", "linear 1", "noise 1"]


def main() -> None:
    """One line per seed and kind of map; the picture is that of seed 0."""
    for seed in range(3):
        torch.manual_seed(seed)
        data, truth = routed_responses(seed=seed), routing_of(seed=seed)
        decoder = {"channels": 64, "heads": 1, "hidden": 64, "dropout": 0.0}
        model = brain_encoder(data.num_classes, data.spec, data.task.regions, decoder=decoder)
        run = Path(mkdtemp()) / "run"
        options = {"steps": 1600, "batch_size": 50, "lr": 3e-3, "seed": seed}
        summary = train(model, data, run=run, progress=False, **options)
        attention = attention_maps(model, data.test_inputs, data.task.regions)
        gradients = gradient_maps(model, data.test_inputs, data.task.regions)
        largest = attention.maps.flatten(2).argmax(2).t()
        hits = (largest == truth.test_places).double().mean(0)
        print(f"seed {seed}: test r2 {summary['test_r2']:.3f}, largest weight at the object:")
        print({name: round(float(x), 3) for name, x in zip(attention.names, hits, strict=True)})
        for kind, maps in (("attention", attention), ("gradients", gradients)):
            for floor in (None, 0.5):
                fields = query_fields(maps.mean(), floor=floor)
                error = (fields.centre - truth.centres).norm(dim=1)[:3]
                expected = query_fields(truth.fields.unflatten(1, (7, 7))).size[:3]
                print(
                    f"{kind}, floor {floor}: centre error {error.mean():.3f} "
                    f"(largest {error.max():.3f}) tokens, size {fields.size[:3].mean():.3f}, "
                    f"true size {expected.mean():.3f}",
                    flush=True,
                )
        if seed == 0:
            figure = attention_figure(attention, queries=SHOWN, samples=range(4))
            figure.savefig(PICTURE, dpi=80, metadata={"Software": None})


if __name__ == "__main__":
    main()
