"""DeBERTa, versions 2 and 3: distances in place of positions (chapter 8b).

He et al. 2021 (arXiv:2006.03654) and, for version 3, arXiv:2111.09543, which is trained
as ELECTRA is.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.attention import attention_map
from bertcore.model.config import BertConfig
from bertcore.model.feedforward import FeedForward
from bertcore.model.heads import MaskedLMHead
from bertcore.model.inputs import check_inputs
from bertcore.model.published import BERT, LAYERS, width_of_head
from bertcore.model.variants import parts
from bertcore.model.weights import Pretrained, initialise

DEBERTA = BERT._replace(
    model_type="deberta-v2",
    title="DeBERTa",
    body="deberta",
    keys={
        **{ours: key for ours, key in BERT.keys.items() if ours != "segments"},
        "position_buckets": "position_buckets",
        "kernel_size": "conv_kernel_size",
        "kernel_activation": "conv_act",
        "text_dropout": "pooler_dropout",
        "head_dropout": "cls_dropout",
    },
    defaults={
        "hidden_size": 1536,
        "num_hidden_layers": 24,
        "num_attention_heads": 24,
        "intermediate_size": 6144,
        "position_buckets": -1,
        "relative_attention": False,
        "position_biased_input": True,
        "share_att_key": False,
        "norm_rel_ebd": "none",
        "pos_att_type": None,
    },
    allowed={
        "relative_attention": (True,),
        "position_biased_input": (False,),
        "share_att_key": (True,),
        "norm_rel_ebd": ("layer_norm",),
        "type_vocab_size": (0,),
        "conv_groups": (1,),
        "max_relative_positions": (-1, 0, lambda c: c.get("max_position_embeddings")),
        "pos_att_type": (["p2c", "c2p"], ["c2p", "p2c"], "p2c|c2p", "c2p|p2c"),
        "embedding_size": (lambda c: c.get("hidden_size"),),
        "attention_head_size": (width_of_head,),
    },
    heads={
        "ForMaskedLM": {"legacy": (True,)},
        "ForSequenceClassification": {
            "pooler_hidden_act": ("gelu",),
            "pooler_hidden_size": (lambda c: c.get("hidden_size"),),
        },
    },
    names={
        "embeddings.token": "embeddings.word_embeddings",
        "embeddings.norm": "embeddings.LayerNorm",
        "encoder.distances": "encoder.rel_embeddings",
        "encoder.distance_norm": "encoder.LayerNorm",
        "encoder.local.conv": "encoder.conv.conv",
        "encoder.local.norm": "encoder.conv.LayerNorm",
        **{
            ours: theirs.replace("self.query", "self.query_proj")
            .replace("self.key", "self.key_proj")
            .replace("self.value", "self.value_proj")
            for ours, theirs in LAYERS.items()
        },
        **{ours: BERT.names[ours] for ours in BERT.names if "mlm_head" in ours},
        "head.dense": "pooler.dense",
        "head.text": "classifier",
        "head.token": "classifier",
        "head.spans": "qa_outputs",
    },
    again=BERT.again,
)
_CONV = {"tanh": torch.tanh, "gelu": F.gelu}


@dataclass(frozen=True)
class DebertaV2Config(BertConfig):
    """The numbers of one DeBERTa; the defaults are deberta-v3-base.

    `position_buckets` in each direction; `kernel_size` of the convolution beside the
    first layer, which version 2 has, or 0, and its activation, "tanh" or "gelu".
    """

    vocab_size: int = 128100
    segments: int = 1
    layer_norm_eps: float = 1e-7
    position_buckets: int = 256
    kernel_size: int = 0
    kernel_activation: str = "tanh"
    text_dropout: float = 0.0

    published = DEBERTA

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.position_buckets) is not int or self.position_buckets < 2:
            raise ValueError(
                f"position_buckets={self.position_buckets!r} must be an integer of 2 "
                "or more"
            )
        size = self.kernel_size
        if type(size) is not int or size < 0 or (size and size % 2 == 0):
            raise ValueError(
                f"kernel_size={size!r} (conv_kernel_size in config.json) must be 0 or "
                "an odd integer, so that a text keeps its length"
            )
        if size and self.kernel_activation not in _CONV:
            raise ValueError(
                f"kernel_activation={self.kernel_activation!r} (conv_act in "
                f"config.json) must be {' or '.join(map(repr, _CONV))}"
            )

    def to_dict(self) -> dict[str, Any]:
        """The keys of a published `config.json`, those that are always alike, too."""
        fixed = {key: self.published.allowed[key][0] for key in self.published.defaults
                 if key in self.published.allowed}  # fmt: skip
        return super().to_dict() | fixed


class DebertaV2(Pretrained, config=DebertaV2Config):
    """Ids to states; there is no pooler."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__(config)
        self.embeddings = parts.TokenTable(config)
        self.encoder = DebertaEncoder(config)
        self.apply(initialise(config.initializer_range))

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """The states after the last layer, `b s w`; distances replace positions.

        A text of a packed row stands in one piece, so its distances are right.
        """
        check_inputs(self.config, input_ids, None, attention_mask, position_ids)
        return self.encoder(self.embeddings(input_ids), attention_map(attention_mask))


class DebertaV2ForMaskedLM(parts.MaskedLM, config=DebertaV2Config):
    """Which piece belongs at each place."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__(config, DebertaV2(config), MaskedLMHead(config))


class DebertaV2ForSequenceClassification(parts.TextClassifier, config=DebertaV2Config):
    """One answer a text."""

    def __init__(self, config: DebertaV2Config) -> None:
        first = config.text_dropout
        rate = config.classifier_dropout
        head = parts.TextHead(config, nn.GELU(), rate, first)
        super().__init__(config, DebertaV2(config), head)


class DebertaV2ForTokenClassification(parts.TokenClassifier, config=DebertaV2Config):
    """One answer a token."""

    def __init__(self, config: DebertaV2Config) -> None:
        head = parts.TokenHead(config, config.dropout)
        super().__init__(config, DebertaV2(config), head)


class DebertaV2ForQuestionAnswering(parts.SpanReader, config=DebertaV2Config):
    """Where an answer starts and ends."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__(config, DebertaV2(config), parts.SpanHead(config))


class DebertaLayer(nn.Module):
    """BERT's layer with disentangled attention."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention = DisentangledAttention(config)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.feedforward = FeedForward(config)
        self.feedforward_norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, hidden: Tensor, distances: Tensor, rows: Tensor, allowed: Tensor | None
    ) -> Tensor:
        """States in, states out, `b s w`; the rest goes to the attention."""
        attended = self.attention(hidden, distances, rows, allowed)  # b s w
        hidden = self.attention_norm(hidden + self.dropout(attended))  # b s w
        changed = self.dropout(self.feedforward(hidden))  # b s w
        return self.feedforward_norm(hidden + changed)  # b s w


class ConvLayer(nn.Module):
    """A convolution over the embeddings, beside the first layer; version 2 has it."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__()
        width, size = config.hidden_size, config.kernel_size
        self.conv = nn.Conv1d(width, width, size, padding=size // 2)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.activation = _CONV[config.kernel_activation]

    def forward(
        self, embedded: Tensor, hidden: Tensor, allowed: Tensor | None
    ) -> Tensor:
        """The states of the first layer, `b s w`, and what the neighbours add.

        A neighbour that may not be looked at counts as 0, so packed texts stay apart.
        """
        length, half = embedded.shape[1], self.conv.kernel_size[0] // 2
        summed = self.conv.bias
        for step in range(-half, half + 1):
            matrix = self.conv.weight[:, :, step + half]
            moved = embedded.roll(-step, dims=1) @ matrix.T  # b s w
            summed = summed + moved * _sees(length, step, allowed, embedded)
        changed = self.activation(self.dropout(summed))  # b s w
        return self.norm(hidden + changed)  # b s w


def _sees(length: int, step: int, allowed: Tensor | None, like: Tensor) -> Tensor:
    """1 where a place may look so many steps further, 0 elsewhere, `b s 1`."""
    places = torch.arange(length, device=like.device)
    inside = (places + step >= 0) & (places + step < length)
    target = (places + step).clamp(0, length - 1)
    if allowed is None:
        return inside[None, :, None].to(like.dtype)
    seen = allowed[:, 0, places.expand(allowed.shape[2]), target] & inside
    return seen[:, :, None].to(like.dtype)


class DebertaEncoder(nn.Module):
    """The layers, and the table of distances that all of them use."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__()
        width, self.buckets = config.hidden_size, config.position_buckets
        self.longest = config.max_positions
        self.distances = nn.Embedding(2 * self.buckets, width)
        self.distance_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(DebertaLayer(config) for _ in range(config.layers))
        self.local = ConvLayer(config) if config.kernel_size else None

    def forward(self, embedded: Tensor, allowed: Tensor | None = None) -> Tensor:
        """The states after the last layer, `b s w`."""
        places = torch.arange(embedded.shape[1], device=embedded.device)
        steps = bucket(places[:, None] - places, self.buckets, self.longest)
        rows = (steps + self.buckets).clamp(0, 2 * self.buckets - 1)
        distances = self.distance_norm(self.distances.weight)
        hidden = embedded
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden, distances, rows, allowed)  # b s w
            if number == 0 and self.local is not None:
                hidden = self.local(embedded, hidden, allowed)  # b s w
        return hidden  # b s w


def bucket(distance: Tensor, buckets: int, longest: int) -> Tensor:
    """The bucket of each distance: near ones have their own, far ones share.

    Args:
        distance: whole numbers, query minus key.
        buckets: so many in each direction; half of them are for single distances, the
            others grow by a factor.
        longest: the distance that reaches the last bucket.

    >>> bucket(torch.tensor([0, 3, -3, 40, 400]), buckets=16, longest=512).tolist()
    [0, 3, -3, 11, 15]
    """
    half = buckets // 2
    size = distance.abs().float().clamp(min=half)
    steps = torch.log(size / half) / math.log((longest - 1) / half) * (half - 1)
    far = (torch.ceil(steps) + half).long() * distance.sign()
    return torch.where(distance.abs() <= half, distance, far)


def place_scores(
    query: Tensor,  # b h s d
    key: Tensor,  # b h s d
    far_query: Tensor,
    far_key: Tensor,
    rows: Tensor,
) -> Tensor:
    """Content to position, and position to content: the second and third score.

    Args:
        query, key: of the states, `b h s d`.
        far_query, far_key: of the distances, `h r d`.
        rows: which distance lies between a query and a key, `q k`.

    Returns:
        Their sum, `b h q k`, not yet divided.
    """
    rows = rows.expand(*query.shape[:2], -1, -1)  # b h q k
    # All pairs of a token and a distance; `gather` takes those that occur.
    to_place = (query @ far_key.mT).gather(-1, rows)  # b h q k
    # Here the key is the token, so its row must list the queries: hence two turns.
    to_content = (key @ far_query.mT).gather(-1, rows.mT).mT  # b h q k
    return to_place + to_content  # b h q k


class DisentangledAttention(nn.Module):
    """Three scores in one: content to content, to position, and position to content.

    The matrices that make queries and keys of states make them of distances, too.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = config.attention_dropout
        self.distance_dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        hidden: Tensor,  # b s w
        distances: Tensor,
        rows: Tensor,
        allowed: Tensor | None = None,
    ) -> Tensor:
        """Each query's weighted sum of the values, `b s w`.

        Args:
            hidden: the states, `b s w`.
            distances: a vector for each bucket, `r w`.
            rows: which of them stands for the distance of query and key, `q k`.
            allowed: True where a query may look at a key, `b 1 q k`.
        """
        query, key, places = self._scores(hidden, distances, rows, allowed)
        value = self._split(self.value(hidden))  # b h s d
        summed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=places,
            dropout_p=self.dropout if self.training else 0.0,
            scale=self._scale(query),
        )  # b h s d
        return self.output(rearrange(summed, "b h s d -> b s (h d)"))  # b s w

    def weights(
        self,
        hidden: Tensor,  # b s w
        distances: Tensor,
        rows: Tensor,
        allowed: Tensor | None = None,
    ) -> Tensor:
        """How much each query takes from each key, `b h q k`; rows sum to 1."""
        query, key, places = self._scores(hidden, distances, rows, allowed)
        content = query @ key.transpose(-1, -2) * self._scale(query)  # b h q k
        return (content + places).softmax(dim=-1)  # b h q k

    def _scores(
        self, hidden: Tensor, distances: Tensor, rows: Tensor, allowed: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, and the scores that have to do with places."""
        query, key = self._split(self.query(hidden)), self._split(self.key(hidden))
        distances = self.distance_dropout(distances)
        far_query, far_key = (
            rearrange(matrix(distances), "r (h d) -> h r d", h=self.heads)
            for matrix in (self.query, self.key)
        )
        places = place_scores(query, key, far_query, far_key, rows)  # b h q k
        places = places * self._scale(query)  # b h q k
        if allowed is not None:
            places = places.masked_fill(~allowed, -torch.inf)  # b h q k
        return query, key, places

    def _scale(self, query: Tensor) -> float:
        return (3 * query.shape[-1]) ** -0.5  # three scores, not one

    def _split(self, projected: Tensor) -> Tensor:
        return rearrange(projected, "b s (h d) -> b h s d", h=self.heads)
