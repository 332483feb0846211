"""A map of movements on the cortex: patches of it, predicted from the rest of the map.

The map is the contrast of left and right button presses that ships in nilearn, on the columns of
fsaverage of level 4. Every hemisphere is divided into 40 patches, each the columns nearest to one
of 40 places, and patches into five folds. All distances are on the sphere of registration.

Written before the run:
- "Attention by place is as good as kriging" is falsified if the interval over ten halves of folds
  (five folds, two hemispheres) of the difference of their correlations lies below 0.

    OMP_NUM_THREADS=1 python docs/measurements/motor_map.py docs/measurements
"""

import csv
import sys
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import torch
from scipy.special import sph_harm_y
from torch import nn

from geometries import cortex
from graphcolumns.analysis.experiment import mean_interval, paired_interval
from graphcolumns.models.brain_encoder import QueryAttention

LEVEL, PATCHES, FOLDS, RADIUS = 4, 40, 5, 100.0
SIDES = ("left", "right")


def motor_map(side: str) -> torch.Tensor:
    """The contrast on the columns of a hemisphere, ``[N]``."""
    from nilearn import datasets, surface

    mesh = datasets.fetch_surf_fsaverage("fsaverage5")
    with warnings.catch_warnings():
        # The image has one volume; nilearn says which space it takes it to be in.
        warnings.simplefilter("ignore")
        values = surface.vol_to_surf(
            datasets.load_sample_motor_activation_image(),
            mesh[f"pial_{side}"],
            inner_mesh=mesh[f"white_{side}"],
        )
    columns = cortex.fsaverage(LEVEL, side)
    return torch.from_numpy(values)[columns.attributes["vertex"]].double()


def patch_folds(places: torch.Tensor, seed: int) -> torch.Tensor:
    """The fold of every column: that of the nearest of 40 places far from each other, ``[N]``."""
    draws = torch.Generator().manual_seed(seed)
    chosen = [int(torch.randint(len(places), (1,), generator=draws))]
    reach = (places - places[chosen[0]]).norm(dim=1)
    while len(chosen) < PATCHES:
        chosen.append(int(reach.argmax()))
        reach = torch.minimum(reach, (places - places[chosen[-1]]).norm(dim=1))
    patch = torch.cdist(places, places[chosen]).argmin(1)
    return (torch.randperm(PATCHES, generator=draws) % FOLDS)[patch]


def nearest(known, values, wanted, count):
    """The mean of the nearest known columns."""
    near = torch.cdist(wanted, known).topk(count, largest=False).indices
    return values[near].mean(1)


def harmonics(known, values, wanted, degree, penalty):
    """Ridge regression on spherical harmonics; higher degrees are penalised more."""

    def table(x):
        polar, azimuth = (x[:, 2] / RADIUS).clamp(-1, 1).acos(), torch.atan2(x[:, 1], x[:, 0])
        columns = []
        for n, m in zip(*np.tril_indices(degree + 1), strict=True):
            y = sph_harm_y(n, m, polar.numpy(), azimuth.numpy())
            columns += [y.real] if m == 0 else [y.real * 2**0.5, y.imag * 2**0.5]
        return torch.from_numpy(np.stack(columns, 1))

    order = torch.cat([torch.full((2 * n + 1,), float(n)) for n in range(degree + 1)]).double()
    x, weight = table(known), penalty * (order * (order + 1)).square()
    return table(wanted) @ torch.linalg.solve(x.T @ x + torch.diag(weight), x.T @ values)


def kriging(known, values, wanted, length, noise):
    """Simple kriging with a Matern covariance of smoothness 3/2."""

    def covariance(a, b):
        ratio = 3**0.5 * torch.cdist(a, b) / length
        return (1 + ratio) * (-ratio).exp()

    factor = torch.linalg.cholesky(covariance(known, known) + noise * torch.eye(len(known)))
    centred = (values - values.mean())[:, None]
    return values.mean() + (covariance(wanted, known) @ torch.cholesky_solve(centred, factor))[:, 0]


class AttentionByPlace(nn.Module):
    """Queries and keys are codes of places, values are the map; no place has weights of its own.

    At the start an attention head weighs columns by a bump of their distance.

    Args:
        length: Width of the bump, in mm.
        channels: Channels of a code.
        heads: Number of heads.
    """

    def __init__(self, length: float, channels: int = 256, heads: int = 2) -> None:
        super().__init__()
        self.register_buffer("waves", torch.randn(3, channels // 2) / length)
        self.attention = QueryAttention(channels, heads, project_values=False)
        self.gain, self.offset = (
            nn.Parameter(torch.ones(heads) / heads),
            nn.Parameter(torch.zeros(1)),
        )
        for linear in (self.attention.query, self.attention.key):
            nn.init.eye_(linear.weight)
            nn.init.zeros_(linear.bias)

    def code(self, places):
        """Sines and cosines of random waves, whose products are near a bump, ``[M, 1, C]``."""
        phase = places @ self.waves
        width = 2 * phase.shape[1] // self.attention.heads
        # The score of a column and itself is 20 in every head.
        size = (40 / width**0.5) ** 0.5
        return size * torch.stack([phase.sin(), phase.cos()], 2).flatten(1)[:, None]

    def forward(self, known, values, wanted):
        """The map at the wanted places, ``[n]``."""
        tokens = values[:, None, None].expand(-1, 1, self.attention.query.in_features)
        keys = self.attention.project(self.code(known), tokens)
        received = self.attention(self.code(wanted), keys, None)[:, 0]
        return received.unflatten(1, (len(self.gain), -1)).mean(2) @ self.gain + self.offset


def attention(known, values, wanted, length, steps):
    """Attention by place, trained by hiding discs of what is known."""
    torch.manual_seed(0)
    model, scale = AttentionByPlace(length), values.std()
    known, wanted, scaled = known.float(), wanted.float(), (values / scale).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        centres = known[torch.randint(len(known), (6,))]
        hidden = (torch.cdist(known, centres) < 15).any(1)
        error = model(known[~hidden], scaled[~hidden], known[hidden]) - scaled[hidden]
        optimizer.zero_grad()
        error.square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        return model(known, scaled, wanted).double() * scale


ARMS = {
    "nearest column": (nearest, [(1,)]),
    "mean of the nearest": (nearest, [(k,) for k in (2, 4, 8, 16, 32, 64)]),
    "spherical harmonics": (harmonics, [*product((10, 20), (1e-6, 1e-5, 1e-4, 1e-3, 1e-2))]),
    "kriging": (kriging, [*product((10.0, 20.0, 40.0, 80.0), (0.001, 0.01, 0.1, 1.0))]),
    "attention by place": (attention, [*product((10.0, 20.0, 40.0), (0, 60))]),
}


def run(arm: str, side: str, fold: int, places, values, folds) -> dict:
    """One arm on the patches of a fold: options are chosen on the patches of another fold."""
    predict, choices = ARMS[arm]
    test, validation = folds == fold, folds == (fold + 2) % FOLDS
    train, scored = ~test & ~validation, []
    for options in choices if len(choices) > 1 else ():
        found = predict(places[train], values[train], places[validation], *options)
        scored.append((float((found - values[validation]).square().mean()), options))
    best = min(scored)[1] if scored else choices[0]
    found = predict(places[~test], values[~test], places[test], *best)
    error = (found - values[test]).square().mean()
    about = values[test] - values[~test].mean()
    return {
        "arm": arm,
        "hemisphere": side,
        "fold": fold,
        "known": int((~test).sum()),
        "held_out": int(test.sum()),
        "choice": " ".join(f"{option:g}" for option in best),
        "r": round(float(torch.corrcoef(torch.stack([found, values[test]]))[0, 1]), 4),
        "r2": round(float(1 - error / about.square().mean()), 4),
    }


def main() -> None:
    """Writes motor_map.csv into a folder, and prints the table; goes on where the file ends."""
    torch.set_num_threads(1)
    path = Path(sys.argv[1], "motor_map.csv")
    rows = list(csv.DictReader(path.open())) if path.exists() else []
    done = {(row["arm"], row["hemisphere"], str(row["fold"])) for row in rows}
    for side in SIDES:
        places = cortex.fsaverage(LEVEL, side).attributes["sphere"].double()
        values = motor_map(side)
        folds = patch_folds(places, seed=0)
        for arm, fold in product(ARMS, range(FOLDS)):
            if (arm, side, str(fold)) not in done:
                rows.append(run(arm, side, fold, places, values, folds))
                print(rows[-1], flush=True)
                part = path.with_suffix(".part")
                with part.open("w", newline="") as file:
                    writer = csv.DictWriter(file, list(rows[0]))
                    writer.writeheader()
                    writer.writerows(rows)
                part.replace(path)
    show(rows)


def show(rows: list[dict]) -> None:
    """The tables of the page."""
    found = {
        key: {arm: [float(row[key]) for row in rows if row["arm"] == arm] for arm in ARMS}
        for key in ("r", "r2")
    }
    for arm in ARMS:
        cells = [mean_interval(found[key][arm]) for key in ("r", "r2")]
        texts = " | ".join(f"{x.mean:.2f} [{x.low:.2f}, {x.high:.2f}]" for x in cells)
        print(f"| {arm} | {texts} |")
    for arm in ARMS:
        pairs = (dict(enumerate(found["r"][name])) for name in (arm, "kriging"))
        print(arm, "- kriging", paired_interval(*pairs))


if __name__ == "__main__":
    main()
