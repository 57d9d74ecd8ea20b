"""Bert: embeddings, then the encoder; a pooler beside them (chapter 0)."""

from torch import Tensor

from bertcore.model.attention import attention_map
from bertcore.model.config import BertConfig
from bertcore.model.embeddings import Embeddings
from bertcore.model.encoder import Encoder
from bertcore.model.initialise import initialise
from bertcore.model.inputs import check_inputs
from bertcore.model.pooling import Pooler
from bertcore.model.weights import Pretrained


class Bert(Pretrained):
    """Ids to states. The pooler, if it has one, makes one vector a text of them."""

    def __init__(self, config: BertConfig, pooler: bool = True) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.pooler = Pooler(config) if pooler else None
        self.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,  # b s
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """The states after the last layer, `b s w`.

        Args:
            input_ids: piece ids, `b s`.
            token_type_ids: 0 for the first segment, 1 for the second; default 0.
            attention_mask: `b s`, 1 for a token and 0 for padding, in a packed row
                the number of the token's text; or `b q k`, 1 where query q may look
                at key k. Default: everything.
            position_ids: rows of the position table; default 0, 1, 2, …

        Raises:
            ValueError: if a shape, a type or an id is not one the tables can take.
        """
        check_inputs(
            self.config, input_ids, token_type_ids, attention_mask, position_ids
        )
        hidden = self.embeddings(input_ids, token_type_ids, position_ids)  # b s w
        return self.encoder(hidden, attention_map(attention_mask))  # b s w
