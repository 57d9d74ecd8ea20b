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
from bertcore.model.inputs import check_inputs
from bertcore.model.published import BERT, LAYERS, TABLE
from bertcore.model.variants import parts
from bertcore.model.variants.albert import ALBERT
from bertcore.model.weights import Pretrained, initialise

ELECTRA = BERT._replace(
    model_type="electra",
    title="ELECTRA",
    body="electra",
    keys={**BERT.keys, "embedding_size": "embedding_size"},
    names={
        **{ours: ALBERT.names[ours] for ours in ALBERT.names if "tables" in ours},
        **LAYERS,
        "embeddings.widen": "embeddings_project",
        "mlm_head.dense": "generator_predictions.dense",
        "mlm_head.norm": "generator_predictions.LayerNorm",
        "mlm_head": "generator_lm_head",
        "head.replaced_dense": "discriminator_predictions.dense",
        "head.replaced": "discriminator_predictions.dense_prediction",
        "head.dense": "classifier.dense",
        "head.text": "classifier.out_proj",
        "head.token": "classifier",
        "head.spans": "qa_outputs",
    },
    again={"generator_lm_head.weight": TABLE},
    needed=("embeddings.", "embeddings_project.", "encoder."),
)


@dataclass(frozen=True)
class ElectraConfig(BertConfig):
    """The numbers of one ELECTRA; the defaults are electra-small-discriminator.

    `embedding_size` is the width of the tables, as in ALBERT.
    """

    hidden_size: int = 256
    heads: int = 4
    feedforward_size: int = 1024
    embedding_size: int = 128

    published = ELECTRA


class Electra(Pretrained, config=ElectraConfig):
    """Ids to states: BERT with narrow tables, and no pooler."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config)
        self.embeddings = parts.FactorizedEmbeddings(config, config.embedding_size)
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
        """The states after the last layer, `b s w`."""
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
        # The library's head has the exact form, whatever the layers have.
        exact = config.replace(gelu="none")
        head = parts.FactorizedMaskedLMHead(exact, config.embedding_size)
        super().__init__(config, Electra(config), head)


class ElectraForPreTraining(parts.Headed, config=ElectraConfig):
    """The discriminator: whether each token was replaced, logits `b s`."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config, Electra(config), ReplacedHead(config))


class ElectraForSequenceClassification(parts.TextClassifier, config=ElectraConfig):
    """One answer a text."""

    def __init__(self, config: ElectraConfig) -> None:
        rate = config.classifier_dropout
        head = parts.TextHead(config, nn.GELU(), rate, first=rate)
        super().__init__(config, Electra(config), head)


class ElectraForTokenClassification(parts.TokenClassifier, config=ElectraConfig):
    """One answer a token."""

    def __init__(self, config: ElectraConfig) -> None:
        head = parts.TokenHead(config, config.classifier_dropout)
        super().__init__(config, Electra(config), head)


class ElectraForQuestionAnswering(parts.SpanReader, config=ElectraConfig):
    """Where an answer starts and ends."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config, Electra(config), parts.SpanHead(config))


class ElectraPair(nn.Module):
    """Generator and discriminator, with the same tables (section 3.2).

    Save each by itself; `generator` shares `discriminator`'s tables in memory only.
    """

    config_class = ElectraConfig

    def __init__(self, config: ElectraConfig) -> None:
        """`config` is the discriminator's; the generator is a quarter as wide."""
        super().__init__()
        width = config.hidden_size // 4
        most = max(1, config.heads // 4)
        generator = config.replace(
            hidden_size=width,
            # The most heads, up to a quarter, into which the width can be divided.
            heads=next(n for n in range(most, 0, -1) if width % n == 0),
            feedforward_size=config.feedforward_size // 4,
        )
        self.config = config
        self.generator = ElectraForMaskedLM(generator)
        self.discriminator = ElectraForPreTraining(config)
        tables = self.discriminator.bert.embeddings.tables
        self.generator.bert.embeddings.tables = tables

    @property
    def bert(self) -> Electra:
        """The discriminator's body, which is kept."""
        return self.discriminator.bert
