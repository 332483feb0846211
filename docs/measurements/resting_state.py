"""A brain at rest: connectivity by distance, and time courses predicted from far away.

Targets are the vertices within 10 mm of 12 places; sources are columns of level 3 that are further
than some mm from every target. Folds are blocks of time with a gap of 30 volumes.

Written before the run, after a look at folds 0 and 2:
- "Learned queries are as good as ridge regression" is falsified if the interval over folds of their
  difference lies below 0.
- "Far sources tell more than near ones" is falsified if ridge regression on all sources is not
  better than regression on the nearest ones, by an interval over folds above 0.
- "Nothing leaks over the gap" is falsified if ridge regression predicts targets that are shifted by
  200 volumes, by an interval over folds above 0.

Changed during the run: time courses are less their mean over the training part and nothing else,
because both ways to regress out confounds failed the last test; they are in the table.

    pip install --no-deps brainspace==0.3.0
    OMP_NUM_THREADS=1 python docs/measurements/resting_state.py docs/measurements

The run goes on where resting_state.csv in the folder ends.
"""

import csv
import sys
import time
from pathlib import Path

import numpy as np
import torch
from himalaya.ridge import Ridge, RidgeCV
from matplotlib.figure import Figure
from sklearn.model_selection import PredefinedSplit

from geometries import cortex
from graphcolumns.analysis.brain import connectivity_profile
from graphcolumns.analysis.experiment import mean_interval, paired_interval
from graphcolumns.data.brain import confound_table, regress_out, resting_state, time_folds
from graphcolumns.data.metrics import median, pearson_per_target
from graphcolumns.geometry import Regions
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder import brain_encoder

FOLDS, GAP, SHIFT = 5, 30, 200  # gap and shift in volumes
RADIUS = 10.0  # mm around a place, of the targets
DISCS = 6  # per hemisphere
NEAREST = (1, 4, 16, 64, 256)
ALPHAS = np.logspace(-2, 5, 15)
STEPS, CHECK, EDGES = 150, 30, 256
BINS = (*range(0, 190, 10),)
CORTEX = cortex.fsaverage(5)
STATE = resting_state(confounds=(), detrend=False)
SERIES = STATE.at(CORTEX)
CONFOUNDS = confound_table()


def discs() -> torch.Tensor:
    """Number of the disc of every vertex, -1 in none: places far from each other, ``[V]``."""
    found, disc = torch.full((CORTEX.num_columns,), -1), 0
    draws = torch.Generator().manual_seed(0)
    for side in (0, 1):
        ids = (CORTEX.attributes["hemisphere"] == side).nonzero()[:, 0]
        places = CORTEX.positions[ids]
        reach, centre = (
            torch.full((len(ids),), torch.inf),
            torch.randint(len(ids), (1,), generator=draws),
        )
        for _ in range(DISCS):
            distance = (places - places[centre]).norm(dim=1)
            found[ids[distance < RADIUS]] = disc
            reach, disc = torch.minimum(reach, distance), disc + 1
            centre = reach.argmax()
    return found


DISC = discs()
TARGETS = (DISC >= 0).nonzero()[:, 0]
REGIONS = Regions.from_masks({f"disc {d}": DISC[TARGETS] == d for d in range(2 * DISCS)})


def sources_beyond(excluded: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns of level 3 further than this from every target, and their order by distance."""
    columns = (CORTEX.attributes["vertex"] < 10 * 4**3 + 2).nonzero()[:, 0]
    distance = torch.cdist(CORTEX.positions[TARGETS], CORTEX.positions[columns])
    far = distance.amin(0) > excluded
    return columns[far], distance[:, far].argsort(1)


def parts(fold, excluded: float, shift: int, cleaning: str) -> list[tuple]:
    """Sources and targets of training, validation and test, on the scale of the training part."""
    columns, _ = sources_beyond(excluded)
    train, found = fold.train, []
    for series in (SERIES[:, columns], SERIES[:, TARGETS].roll(shift, 0)):
        if cleaning != "none":
            series = regress_out(series, CONFOUNDS, fit=train if cleaning == "training" else None)
        found.append((series - series[train].mean(0)) / series[train].std(0))
    return [(found[0][times], found[1][times]) for times in fold]


def global_mean(data, order, seed):
    """The same prediction for all targets."""
    return [x.mean(1, keepdim=True).expand(-1, len(TARGETS)) for x, _ in data[1:]], ""


def nearest_mean(data, order, seed):
    """The mean of the k nearest sources."""

    def predict(x, k):
        return x[:, order[:, :k]].mean(2)

    return _chosen(data, lambda k: [predict(x, k) for x, _ in data[1:]], NEAREST)


def nearest_regression(data, order, seed):
    """Linear regression on the k nearest sources."""
    x, y = data[0]

    def fit(k):
        near = order[:, :k]
        a = x[:, near].movedim(1, 0)
        gram = a.mT @ a + 0.01 * len(x) * torch.eye(k)
        weight = torch.linalg.solve(gram, a.mT @ y.T[:, :, None])[:, :, 0]
        return [torch.einsum("tvk,vk->tv", held[:, near], weight) for held, _ in data[1:]]

    return _chosen(data, fit, NEAREST)


def _chosen(data, predict, choices):
    """The predictions of the choice that is best on the validation part."""
    scored = {k: predict(k) for k in choices}
    best = max(choices, key=lambda k: float(score(scored[k][0], data[1][1])))
    return scored[best], best


def ridge(data, order, seed):
    """Ridge regression on all sources, with a penalty per target."""
    (x, y), (xv, yv), (xt, _) = data
    where = np.r_[np.full(len(x), -1), np.zeros(len(xv))]
    search = RidgeCV(ALPHAS, cv=PredefinedSplit(where)).fit(torch.cat([x, xv]), torch.cat([y, yv]))
    model = Ridge(search.best_alphas_).fit(x, y)  # on the training part alone, as all others
    alpha = float(np.median(np.asarray(search.best_alphas_)))
    return [torch.as_tensor(model.predict(held)) for held in (xv, xt)], f"{alpha:.2g}"


def learned_queries(data, order, seed):
    """A query per disc attends to the 256 sources that are nearest to it.

    A token is the value of a source, with a learned code of its place and a bias per edge.
    """
    (x, y), (xv, yv), (xt, _) = data
    # The rank of every source by distance, summed over the targets of each disc.
    ranks = REGIONS.masks.float() @ order.argsort(1).float()
    near = ranks.topk(EDGES, largest=False).indices
    queries = torch.arange(len(near)).repeat_interleave(EDGES)
    edges = torch.stack([near.flatten(), queries])
    torch.manual_seed(seed)
    model = brain_encoder(
        len(TARGETS),
        regions=REGIONS,
        tokens=(x.shape[1], 1),
        edges=ColumnGraph.from_edge_index(edges, len(near), x.shape[1]),
        position="learned",
        decoder={"channels": 32, "heads": 16, "hidden": 64, "dropout": 0.0, "edge_bias": True},
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    draws, best = torch.Generator().manual_seed(seed), (-np.inf, 0, None)
    for step in range(1, STEPS + 1):
        batch = torch.randint(len(x), (32,), generator=draws)
        loss = (model(x[batch, :, None]).prediction - y[batch]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % CHECK == 0:
            with torch.no_grad():
                predicted = [model(held[:, :, None]).prediction for held in (xv, xt)]
            best = max(best, (float(score(predicted[0], yv)), step, predicted), key=lambda b: b[0])
    return best[2], best[1]


def score(predicted, targets):
    """The median over targets of the correlation over time."""
    return median(pearson_per_target(predicted, targets))


ARMS = {
    "mean of all sources": global_mean,
    "mean of the nearest": nearest_mean,
    "regression on the nearest": nearest_regression,
    "ridge": ridge,
    "learned queries": learned_queries,
}
# Arm, mm that are excluded, shift of the targets, volumes that confounds are regressed out over.
PLAN = [
    *((arm, 15.0, 0, "none") for arm in ARMS),
    *(("ridge", 15.0, SHIFT, cleaning) for cleaning in ("none", "training", "all")),
    *(("ridge", 15.0, 0, cleaning) for cleaning in ("training", "all")),
    *((arm, mm, 0, "none") for mm in (5.0, 30.0) for arm in ARMS if arm != "learned queries"),
]
SEEDS = {"learned queries": 1}
KEYS = ("arm", "excluded_mm", "shift", "cleaning", "fold", "seed")
RATE = 1e-2


def run(arm: str, excluded: float, shift: int, cleaning: str, fold: int, seed: int) -> dict:
    """One arm on one fold: the correlation of every target over the held-out block."""
    data = parts(time_folds(len(SERIES), FOLDS, GAP)[fold], excluded, shift, cleaning)
    began = time.process_time()
    columns, order = sources_beyond(excluded)
    predicted, choice = ARMS[arm](data, order, seed)
    r = pearson_per_target(predicted[1], data[2][1])
    low, middle, high = np.quantile(r, (0.1, 0.5, 0.9))
    found = (arm, excluded, shift, cleaning, fold, seed)
    return {
        **dict(zip(KEYS, found, strict=True)),
        "sources": len(columns),
        "targets": len(r),
        "train": len(data[0][0]),
        "test": len(data[2][0]),
        "choice": choice,
        "r": round(float(middle), 4),
        "r_10": round(float(low), 4),
        "r_90": round(float(high), 4),
        "r_validation": round(float(score(predicted[0], data[1][1])), 4),
        "seconds": round(time.process_time() - began, 1),
    }


def write_rows(path: Path, rows: list[dict]) -> None:
    """A table, under its name only when it is whole."""
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


def profiles(path: Path) -> list[dict]:
    """Connectivity by distance, of both hemispheres, two levels and two ways to measure."""
    if path.exists():
        return list(csv.DictReader(path.open()))
    series, rows = resting_state(), []
    for level, metric in ((4, "euclidean"), (5, "euclidean"), (4, "geodesic")):
        for side in ("left", "right"):
            columns = cortex.fsaverage(level, side, metric=metric)
            found = connectivity_profile(series.at(columns), columns, BINS, progress=True)
            rows += [
                {
                    "level": level,
                    "metric": metric,
                    "hemisphere": side,
                    "correlation": round(found.correlation, 4),
                    "from_mm": BINS[k],
                    "to_mm": BINS[k + 1],
                    "pairs": int(found.pairs[k]),
                    "connectivity": round(float(found.mean[k]), 4),
                }
                for k in range(len(BINS) - 1)
            ]
    write_rows(path, rows)
    return rows


def main() -> None:
    """Writes the two tables and the figure into a folder, and prints what the page has."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    path = folder / "resting_state.csv"
    rows = list(csv.DictReader(path.open())) if path.exists() else []
    done = {tuple(str(row[key]) for key in KEYS) for row in rows}
    for arm, excluded, shift, cleaning in PLAN:
        for fold in range(FOLDS):
            for seed in range(SEEDS.get(arm, 1)):
                planned = (arm, excluded, shift, cleaning, fold, seed)
                if tuple(map(str, planned)) not in done:
                    rows.append(run(*planned))
                    print(rows[-1], flush=True)
                    write_rows(path, rows)
    lines = profiles(folder / "resting_state_profile.csv")
    show(rows, lines)
    draw(rows, lines, folder / "resting_state.png")


def by_fold(rows, arm, excluded=15.0, shift=0, cleaning="none") -> dict[int, float]:
    """The median correlation of every fold, mean over seeds."""
    found = {}
    for row in rows:
        about = (row["arm"], float(row["excluded_mm"]), int(row["shift"]), row["cleaning"])
        if about == (arm, excluded, shift, cleaning):
            found.setdefault(int(row["fold"]), []).append(float(row["r"]))
    return {fold: float(np.mean(values)) for fold, values in found.items()}


def cell(found: dict[int, float]) -> str:
    """Mean and interval over folds."""
    mean, low, high, _ = mean_interval([*found.values()])
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def show(rows: list[dict], lines: list[dict]) -> None:
    """The tables of the page."""
    for arm, excluded, shift, cleaning in PLAN:
        found = by_fold(rows, arm, excluded, shift, cleaning)
        cells = " | ".join(f"{found[fold]:.2f}" for fold in range(FOLDS))
        print(f"| {arm} | {excluded:.0f} | {shift} | {cleaning} | {cells} | {cell(found)} |")
    queries, all_sources = by_fold(rows, "learned queries"), by_fold(rows, "ridge")
    print("queries - ridge", paired_interval(queries, all_sources))
    for name in ("regression on the nearest", "mean of the nearest", "mean of all sources"):
        print(f"queries - {name}", paired_interval(queries, by_fold(rows, name)))
        print(f"ridge - {name}", paired_interval(all_sources, by_fold(rows, name)))
    groups = {}
    for row in lines:
        key = (row["hemisphere"], row["level"], row["metric"], row["correlation"])
        groups.setdefault(key, []).append(float(row["connectivity"]))
    for key, values in groups.items():
        print(key, values)


def draw(rows: list[dict], lines: list[dict], path: Path) -> None:
    """Connectivity by distance, and the correlation of every arm and fold."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    styles = {("4", "geodesic"): ":", ("5", "euclidean"): "-"}
    for colour, side in (("C0", "left"), ("C1", "right")):
        for (level, metric), style in styles.items():
            chosen = [
                row
                for row in lines
                if (row["hemisphere"], str(row["level"]), row["metric"]) == (side, level, metric)
            ]
            middle = [(float(row["from_mm"]) + float(row["to_mm"])) / 2 for row in chosen]
            values = [float(row["connectivity"]) for row in chosen]
            label = f"{side}, {'straight' if metric == 'euclidean' else 'along the cortex'}"
            left.plot(middle, values, style, color=colour, label=label)
    left.set_xlabel("distance in mm")
    left.set_ylabel("functional connectivity")
    left.legend(fontsize=8)
    names = {
        **{arm: (arm, 15.0, 0, "none") for arm in ARMS},
        "shifted: ridge": ("ridge", 15.0, SHIFT, "none"),
        "shifted: ridge, confounds of training": ("ridge", 15.0, SHIFT, "training"),
        "ridge, confounds of all volumes": ("ridge", 15.0, 0, "all"),
    }
    for place, about in enumerate(names.values()):
        values = [*by_fold(rows, *about).values()]
        right.plot(
            values, [place] * len(values), "o", color="C0" if place < len(ARMS) else "C7", alpha=0.6
        )
    right.set_yticks(range(len(names)), names, fontsize=8)
    right.invert_yaxis()
    right.axvline(0, color="grey", linewidth=0.8, linestyle=":")
    right.set_xlabel("median correlation over vertices, a dot per fold")
    for axes in (left, right):
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
