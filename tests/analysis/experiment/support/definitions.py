"""A small experiment as a file, and rows as if it had run."""

from pathlib import Path

import yaml

TINY = {
    "claim": "more is better",
    "falsified_if": "less is",
    "base": ["a=1"],
    "arms": {
        "plain": [],
        "rich": {"overrides": ["b=2"], "grid": {"c": [1, 2], "d": [True, None]}},
        "whole": {"overrides": ["b=3"], "variants": {"all": ["e=9"]}, "tuned_on": "all"},
    },
    "baseline": "plain",
    "variants": {"1%": ["e=1"], "2%": ["e=2"]},
    "seeds": [0, 1, 2],
    "tuning": {
        "trials": 4,
        "seed": 100,
        "fold": 0,
        "tuned_on": "2%",
        "grid": {"lr": [0.1, 0.2, 0.3, 0.4]},
    },
    "measure": {"y": "test_accuracy", "x": "edges", "also": ["churn"]},
}


def written(folder: Path, name: str = "tiny", **changes) -> Path:
    """The definition above with changes, as a file."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(TINY | changes, sort_keys=False))
    return path


def scored(run, **values) -> dict:
    """The row of a run that went well."""
    names = ("kind", "arm", "variant", "seed", "trial", "fingerprint")
    first = {name: getattr(run, name) for name in names}
    return first | {"tuned": " ".join(run.tuned), "status": "ok", "error": ""} | values
