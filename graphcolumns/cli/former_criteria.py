"""The criteria of rules by the names that they had in earlier versions."""

from graphcolumns.plasticity.criteria.former import CRITERIA

NOW = "plasticity.criteria"
PLACES = ("plasticity", "plasticity.scores", "plasticity.criteria")


def moved_criteria() -> dict[str, str]:
    """Names of today by former names, both within graphcolumns."""
    moved = {"plasticity.scores": NOW, "plasticity.criteria.catalogue": NOW}
    for kind, names in CRITERIA.items():
        for was, now in names.items():
            moved[f"plasticity.scores.{was}"] = f"{NOW}.{now}"
        for place in PLACES:
            moved[f"{place}.{kind}"] = NOW
            moved |= {f"{place}.{kind}.{was}": f"{NOW}.{now}" for was, now in names.items()}
    return moved
