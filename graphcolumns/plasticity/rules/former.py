"""Options of rules that have another name today."""

RENAMED = {
    "check": "check_samples",
    "errors": "standard_errors",
    "remember": "update_memory",
    "share": "epsilon_share",
    "skip": "skip_optimizer_step",
    "when": "is_due",
}
