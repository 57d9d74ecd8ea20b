"""SpanBERT: hide spans, and guess them from their two ends (chapter 8).

Joshi et al. 2020 (arXiv:1907.10529), section 3. The model is BERT's; its objectives
are others. Which spans are hidden: `bertcore.text.masking`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.model.bert import Bert
from bertcore.model.config import BertConfig
from bertcore.model.heads import MaskedLMHead
from bertcore.model.variants import parts
from bertcore.model.weights import initialise

LONGEST = 10  # tokens or words of a span


class SpanBoundaryHead(nn.Module):
    """A score for every piece, from the states at both ends and the place between.

    Section 3.2: two layers of dense, GELU, norm over the state before the span, the
    one after it, and a table of the places in it; then the token table.
    """

    def __init__(self, config: BertConfig, places: int = 512) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.place = nn.Embedding(places, width)
        self.first = nn.Linear(3 * width, width)
        self.first_norm = nn.LayerNorm(width, eps=eps)
        self.second = nn.Linear(width, width)
        self.second_norm = nn.LayerNorm(width, eps=eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.gelu = config.gelu

    def forward(
        self,
        left: Tensor,  # t w
        right: Tensor,  # t w
        offset: Tensor,
        token_table: Tensor,  # v w
    ) -> Tensor:
        """Logits, `t v`.

        Args:
            left, right: the states just before and just after the span, `t w`.
            offset: the place in the span, from 0, `t`.
            token_table: the encoder's own.
        """
        hidden = torch.cat([left, right, self.place(offset)], dim=-1)
        for layer, norm in (
            (self.first, self.first_norm),
            (self.second, self.second_norm),
        ):
            hidden = norm(F.gelu(layer(hidden), approximate=self.gelu))  # t w
        return F.linear(hidden, token_table, self.bias)


class SpanBertForMaskedLM(parts.MaskedLM):
    """BERT's masked LM, and a second guess from the ends of each span.

    A file keeps the first only: fine-tuning takes the body.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, Bert(config, pooler=False), MaskedLMHead(config))
        self.boundary_head = SpanBoundaryHead(config)
        self.boundary_head.apply(initialise(config.initializer_range))
