"""The criteria of rules by the names that they had in earlier versions."""

NOW = "plasticity.criteria"
# Where they were, and which of them have another name now.
FORMER = {
    "prune": {"bias": "weight_size", "random": "chance", "taylor": "deletion_cost"},
    "grow": {
        "distance": "distance_kernel",
        "insertion": "insertion_gain",
        "random": "chance",
        "rigl_abs": "gradient_size",
        "would_be_attention": "candidate_mass",
    },
}
PLACES = ("plasticity", "plasticity.scores", "plasticity.criteria")


def moved_criteria() -> dict[str, str]:
    """Names of today by former names, both within graphcolumns."""
    moved = {"plasticity.scores": NOW, "plasticity.criteria.catalogue": NOW}
    for kind, names in FORMER.items():
        for was, now in names.items():
            moved[f"plasticity.scores.{was}"] = f"{NOW}.{now}"
        for place in PLACES:
            moved[f"{place}.{kind}"] = NOW
            moved |= {f"{place}.{kind}.{was}": f"{NOW}.{now}" for was, now in names.items()}
    return moved
