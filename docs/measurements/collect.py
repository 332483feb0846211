"""Turns the run folders of a sweep into one CSV of raw rows, one row per run.

python docs/measurements/collect.py runs/sharing docs/measurements/sharing.csv \
        model.weights model.recurrent budget data.train_size seed
"""

import csv
import json
import sys
from pathlib import Path

import yaml

RESULTS = (
    "test_accuracy", "validation_accuracy", "train_accuracy", "parameters", "edges", "density",
    "train_seconds", "peak_memory_mb", "version_torch",
)  # fmt: skip


def rows(folder: Path, keys: list[str]) -> list[dict[str, object]]:
    """One row per finished run: the keys of its configuration, then its results."""
    found = []
    for summary in sorted(folder.rglob("summary.json")):
        config = yaml.safe_load((summary.parent / "config.yaml").read_text())
        results = json.loads(summary.read_text())
        row = {key: _look_up(config, key) for key in keys}
        found.append(row | {name: results[name] for name in RESULTS if name in results})
    return found


def _look_up(config: dict, key: str) -> object:
    for part in key.split("."):
        config = config[part]
    return config


def main() -> None:
    """Collects the sweep named on the command line."""
    folder, target, *keys = sys.argv[1:]
    table = rows(Path(folder), keys)
    if not table:
        raise SystemExit(f"no summary.json below {folder}: did the sweep finish?")
    with Path(target).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    print(f"{len(table)} runs -> {target}")


if __name__ == "__main__":
    main()
