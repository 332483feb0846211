"""Which implementation of an op runs: one readable function."""

from importlib.util import find_spec

from graphcolumns.graph import ColumnGraph

BACKENDS = ("reference", "scatter", "dense")


def choose(backend: str, graph: ColumnGraph, lanes: int) -> str:
    """Names the backend that will run.

    Args:
        backend: ``"auto"`` or one of ``reference``, ``scatter``, ``dense``.
        graph: The graph of the call.
        lanes: Entries of the dense form per pair of columns (attention: batch times heads).

    Returns:
        The name of a backend that can run here.

    Raises:
        ValueError: For an unknown name.
        ImportError: For ``scatter`` without torch-scatter.
    """
    if backend == "auto":
        return "dense" if dense_wins(graph, lanes) else "reference"
    if backend not in BACKENDS:
        raise ValueError(f"backend must be 'auto' or one of {BACKENDS}, got {backend!r}")
    if backend == "scatter" and find_spec("torch_scatter") is None:
        raise ImportError(
            "backend='scatter' needs torch-scatter, which is not installed: "
            "pip install --no-build-isolation torch-scatter==2.1.2, or use backend='reference'"
        )
    return backend


def dense_wins(graph: ColumnGraph, lanes: int) -> bool:
    """Whether N x M products are the cheaper form.

    A dense pair costs a few flops in a matrix product, an edge costs a gathered row: the crossing
    lies near a density of ``DENSE_FROM``. Above ``DENSE_LIMIT`` entries the
    score matrix is refused whatever the density.
    """
    pairs = graph.num_columns * graph.num_sources
    return graph.num_edges >= DENSE_FROM * pairs and pairs * lanes <= DENSE_LIMIT


DENSE_FROM = 0.125
DENSE_LIMIT = 2**27
