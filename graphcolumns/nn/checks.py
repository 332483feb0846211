"""Checks that several layers share, with errors that list the choices."""

from graphcolumns.nn.mixture import Mixture


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises ValueError that lists the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r}")


def check_counts(**counts: int) -> None:
    """Raises ValueError for a size below one."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def check_mixture(mixture: Mixture | None, num_columns: int, rank: int) -> None:
    """Raises ValueError for coefficients of other columns or of another number of sets."""
    if mixture is None or (mixture.num_columns, mixture.num_sets) == (num_columns, rank):
        return
    raise ValueError(
        f"the mixture must have num_columns={num_columns} and num_sets=rank={rank}, "
        f"got {mixture.num_columns} and {mixture.num_sets}"
    )
