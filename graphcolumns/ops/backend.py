"""Which implementation of an op runs: one readable function."""

from importlib.util import find_spec

from graphcolumns.graph import ColumnGraph

BACKENDS = ("reference", "scatter", "dense")


def choose(backend: str, graph: ColumnGraph, lanes: int, width: int) -> str:
    """Names the backend that will run.

    Args:
        backend: ``"auto"`` or one of ``reference``, ``scatter``, ``dense``.
        graph: The graph of the call.
        lanes: Entries of the dense form per pair of columns (attention: batch times heads).
        width: Numbers that an edge gathers per lane (attention: the head width).

    Returns:
        The name of a backend that can run here.

    Raises:
        ValueError: For an unknown name.
        ImportError: For ``scatter`` without torch-scatter.
    """
    if backend == "auto":
        return "dense" if dense_wins(graph, lanes, width) else "reference"
    if backend not in BACKENDS:
        raise ValueError(f"backend must be 'auto' or one of {BACKENDS}, got {backend!r}")
    if backend == "scatter" and find_spec("torch_scatter") is None:
        raise ImportError(
            "backend='scatter' needs torch-scatter, which is not installed: "
            "pip install --no-build-isolation torch-scatter==2.1.2, or use backend='reference'"
        )
    return backend


def dense_wins(graph: ColumnGraph, lanes: int, width: int) -> bool:
    """Whether N x M products are the cheaper form.

    A dense pair costs a few operations per lane, an edge a gathered row of ``width`` numbers: the
    crossing lies where edges gather ``DENSE_FROM`` numbers per pair. Above ``DENSE_LIMIT`` entries
    the matrix is refused whatever the density.
    """
    edges, pairs = graph.num_edges, graph.num_columns * graph.num_sources
    if pairs * lanes > DENSE_LIMIT:
        return False
    return edges == pairs or edges * min(width, WIDEST) >= DENSE_FROM * pairs


# Measured on two cores of an AMD EPYC, forward and backward, N = 64 to 512, B = 8 and 64, heads x
# width 8 x 4, 4 x 8, 2 x 16, 4 x 32, 1 x 64: reference over dense is 0.2 to 1.2 at 1 number per
# pair, 0.5 to 3.5 at 2, 0.8 to 5.7 at 3 and 0.8 to 7.9 at 4. Three are a density of 0.1 for a width
# of 32, 0.4 for 8. Below a density of 0.05 (three numbers of 60) no width pays for the products.
DENSE_FROM = 3
WIDEST = 60
DENSE_LIMIT = 2**27
