"""One recurrent step of every column: attention between columns, an MLP within each."""

from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.mixture import Mixture
from graphcolumns.nn.untied import UntiedLayerNorm, UntiedLinear, Use


class Column(nn.Module):
    r"""A transformer block with weights per column and attention along edges.

    .. math::
        x &\leftarrow [x +]\; \mathrm{Attention}(\mathrm{LN}_1(x)) \\
        x &\leftarrow x + U\, \mathrm{gelu}(V\, \mathrm{LN}_2(x) + c) + u

    Pre-norm with GELU, as in Dosovitskiy et al. 2021 (https://arxiv.org/abs/2010.11929); the
    untied, recurrent form is the Columnformer of Lane (2023).

    Args:
        attention: How columns communicate.
        hidden: Width of the MLP.
        weights: Weight mode of the MLP, see :class:`UntiedLinear`.
        norm_weights: Weight mode of the norms.
        rank: Of the modes ``mixture`` and ``lowrank``.
        mixture: Coefficients shared by every layer of the column (default: one for each).
        skip_attention: Whether the input is added to what the column hears.
        out_bias: Whether the second map of the MLP has a bias.
        dropout: Of activations, after attention and after the MLP.
        std: Of the initial weights, see :class:`UntiedLinear`.
        num_columns: ``N``.

    Shapes:
        - input: ``[N, B, C]``
        - output: ``[N, B, C]`` and the expected edge cost ``[N, B, H]`` or None
    """

    def __init__(
        self,
        num_columns: int,
        attention: ColumnAttention,
        hidden: int,
        weights: str = "untied",
        norm_weights: str = "untied",
        rank: int = 4,
        mixture: Mixture | None = None,
        skip_attention: bool = True,
        out_bias: bool = True,
        dropout: float = 0.0,
        std: float | None = None,
    ) -> None:
        super().__init__()
        channels = attention.channels
        self.num_columns, self.channels, self.heads = num_columns, channels, attention.heads
        self.skip_attention, self.dropout = skip_attention, dropout
        self.mixture = mixture
        self.norm1 = UntiedLayerNorm(num_columns, channels, norm_weights, rank, mixture)
        self.attention = attention
        self.norm2 = UntiedLayerNorm(num_columns, channels, norm_weights, rank, mixture)
        self.hidden = UntiedLinear(
            num_columns, channels, hidden, True, weights, rank, mixture, std
        )
        self.out = UntiedLinear(
            num_columns, hidden, channels, out_bias, weights, rank, mixture, std
        )

    def unroll(self, steps: int, batch: int) -> list[dict[str, Use]]:
        """Weights of every linear map for every step, so that their gradients are formed once."""
        linears = {f"attention.{k}": v for k, v in self.attention.linears().items()}
        linears |= {"hidden": self.hidden, "mlp": self.out}
        unrolled = {name: linear.unroll(steps, batch) for name, linear in linears.items()}
        return [{name: uses[t] for name, uses in unrolled.items()} for t in range(steps)]

    def forward(
        self,
        x: Tensor,
        graph: ColumnGraph,
        cost: Tensor | None = None,
        uses: dict[str, Use] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """One step; ``cost [E]`` asks for the expected cost per column, ``uses`` from unroll."""
        uses = uses or {}
        prefix = "attention."
        inner = {k.removeprefix(prefix): use for k, use in uses.items() if k.startswith(prefix)}
        heard, expected = self.attention(self.norm1(x), graph, cost, inner)
        heard = F.dropout(heard, self.dropout, self.training)
        x = x + heard if self.skip_attention else heard
        hidden = F.gelu(self.hidden(self.norm2(x), uses.get("hidden")))
        return x + F.dropout(self.out(hidden, uses.get("mlp")), self.dropout, self.training), expected
