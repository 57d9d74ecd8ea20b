"""ELECTRA: find the pieces that a small generator has replaced (chapter 8).

Clark et al. 2020 (arXiv:2003.10555). A small masked LM fills the gaps, a discriminator
says of every token whether it stood there; only the discriminator is kept.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.model.attention import attention_map
from bertcore.model.config import BertConfig
from bertcore.model.encoder import Encoder
from bertcore.model.initialise import initialise
from bertcore.model.inputs import check_inputs
from bertcore.model.variants import names, parts
from bertcore.model.weights import Pretrained


@dataclass(frozen=True)
class ElectraConfig(BertConfig):
    """The numbers of one ELECTRA; the defaults are electra-small-discriminator.

    `embedding_size` is the width of the tables, as in ALBERT.
    """

    hidden_size: int = 256
    heads: int = 4
    feedforward_size: int = 1024
    embedding_size: int = 128

    published = names.ELECTRA


class Electra(Pretrained, config=ElectraConfig):
    """Ids to states: BERT with narrow tables, and no pooler."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config)
        self.embeddings = parts.NarrowEmbeddings(config, config.embedding_size)
        if config.embedding_size == config.hidden_size:
            self.embeddings.widen = nn.Identity()
        self.encoder = Encoder(config)
        self.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,  # b s
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """As `Bert.forward`: the states after the last layer, `b s w`."""
        check_inputs(
            self.config, input_ids, token_type_ids, attention_mask, position_ids
        )
        hidden = self.embeddings(input_ids, token_type_ids, position_ids)  # b s w
        return self.encoder(hidden, attention_map(attention_mask))  # b s w


class ReplacedHead(nn.Module):
    """One score a token: above 0, it was replaced."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__()
        self.replaced_dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.replaced = nn.Linear(config.hidden_size, 1)
        self.gelu = config.gelu

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits, `… w` to `…`."""
        changed = F.gelu(self.replaced_dense(hidden), approximate=self.gelu)
        return self.replaced(changed)[..., 0]


class ElectraForMaskedLM(parts.MaskedLM, config=ElectraConfig):
    """The generator: which piece belongs at each place."""

    def __init__(self, config: ElectraConfig) -> None:
        head = parts.NarrowMaskedLMHead(config, config.embedding_size)
        super().__init__(config, Electra(config), head)


class ElectraForPreTraining(parts.Headed, config=ElectraConfig):
    """The discriminator: whether each token was replaced, logits `b s`."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config, Electra(config), ReplacedHead(config))


class ElectraForSequenceClassification(parts.TextClassifier, config=ElectraConfig):
    """One answer a text."""

    def __init__(self, config: ElectraConfig) -> None:
        rate = config.dropout
        head = parts.TextHead(config, nn.GELU(), rate, first=rate)
        super().__init__(config, Electra(config), head)


class ElectraForTokenClassification(parts.TokenClassifier, config=ElectraConfig):
    """One answer a token."""

    def __init__(self, config: ElectraConfig) -> None:
        head = parts.TokenHead(config, config.dropout)
        super().__init__(config, Electra(config), head)


class ElectraForQuestionAnswering(parts.SpanReader, config=ElectraConfig):
    """Where an answer starts and ends."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config, Electra(config), parts.SpanHead(config))
