"""What the cases are called; importing this imports nothing that is measured."""

# Not part of a run unless it is named: minutes, and gigabytes.
ON_REQUEST = ("rewiring", "million")
NAMES = (
    *("shared_batch", "dense", "edges", "columns", "grid", "long_range", "step", "products"),
    *("memory", *ON_REQUEST),
)
