"""ModernBERT: six years of improvements in one encoder (chapter 8b).

Warner et al. 2024 (arXiv:2412.13663): rotary positions, norm first, gated units, no
biases, attention that is local in two layers of three. Padding is left out by packing,
as this course's engine does for every model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.attention import attention_map
from bertcore.model.config import BertConfig
from bertcore.model.inputs import check_inputs
from bertcore.model.pooling import mean_pool
from bertcore.model.published import BERT, width_of_head
from bertcore.model.variants import parts
from bertcore.model.weights import Pretrained, initialise

_KINDS = {"full_attention": "global_base", "sliding_attention": "local_base"}
_HEAD = {"classifier_bias": (False,), "classifier_activation": ("gelu",)}
MODERNBERT = BERT._replace(
    model_type="modernbert",
    title="ModernBERT",
    body="model",
    keys={
        "vocab_size": "vocab_size",
        "hidden_size": "hidden_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "feedforward_size": "intermediate_size",
        "max_positions": "max_position_embeddings",
        "dropout": "embedding_dropout",
        "attention_dropout": "attention_dropout",
        "layer_norm_eps": "norm_eps",
        "initializer_range": "initializer_range",
        "window": "local_attention",
        "inner_dropout": "mlp_dropout",
        "head_dropout": "classifier_dropout",
        "global_every": "global_attn_every_n_layers",
        "global_base": "global_rope_theta",
        "local_base": "local_rope_theta",
        "pooling": "classifier_pooling",
    },
    allowed={
        "norm_bias": (False,),
        "attention_bias": (False,),
        "mlp_bias": (False,),
        "head_dim": (width_of_head, None),
        "rope_scaling": (None,),
        "sliding_window": (lambda c: c.get("local_attention", 128) // 2, None),
    },
    heads={
        "ForMaskedLM": {**_HEAD, "decoder_bias": (True,)},
        "ForSequenceClassification": _HEAD,
        "ForTokenClassification": _HEAD,
        "ForQuestionAnswering": _HEAD,
    },
    activation="hidden_activation",
    names={
        "embeddings.token": "embeddings.tok_embeddings",
        "embeddings.norm": "embeddings.norm",
        "encoder.layers.{n}.attention_norm": "layers.{n}.attn_norm",
        "encoder.layers.{n}.attention.qkv": "layers.{n}.attn.Wqkv",
        "encoder.layers.{n}.attention.output": "layers.{n}.attn.Wo",
        "encoder.layers.{n}.feedforward_norm": "layers.{n}.mlp_norm",
        "encoder.layers.{n}.feedforward.widen": "layers.{n}.mlp.Wi",
        "encoder.layers.{n}.feedforward.narrow": "layers.{n}.mlp.Wo",
        "encoder.norm": "final_norm",
        "mlm_head.dense": "head.dense",
        "mlm_head.norm": "head.norm",
        "mlm_head": "decoder",
        "head.dense": "head.dense",
        "head.norm": "head.norm",
        "head.output": "classifier",
    },
    again={"decoder.weight": "embeddings.tok_embeddings.weight"},
    table="embeddings.tok_embeddings.weight",
    needed=("embeddings.", "layers.", "final_norm."),
)
PADDING = 50283  # its id in the published vocabulary


@dataclass(frozen=True)
class ModernBertConfig(BertConfig):
    """The numbers of one ModernBERT; the defaults are ModernBERT-base.

    One layer in `global_every` sees all, the first included; the others see `window` /
    2 tokens on either side. `global_base` and `local_base` are theirs for the rotary
    angles. `feedforward_size` is the width behind the gate. A classifier reads the
    first state of a text, or with `pooling="mean"` the mean of its states.
    """

    vocab_size: int = 50368
    layers: int = 22
    feedforward_size: int = 1152
    max_positions: int = 8192
    segments: int = 1
    dropout: float = 0.0
    attention_dropout: float = 0.0
    layer_norm_eps: float = 1e-5
    window: int = 128
    global_every: int = 3
    global_base: float = 160_000.0
    local_base: float = 10_000.0
    inner_dropout: float = 0.0
    head_dropout: float = 0.0
    pooling: str = "cls"

    published = MODERNBERT
    inner = 1.5  # ModernBERT-base: 1,152 of 768

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 0:
            raise ValueError(
                f"window={self.window} (local_attention in config.json) must be 0 or "
                "more: a token sees half of it on either side"
            )
        if self.pooling not in ("cls", "mean"):
            raise ValueError(
                f"pooling={self.pooling!r} (classifier_pooling in config.json) must be "
                '"cls" or "mean"'
            )

    @classmethod
    def fields_of(cls, published: Mapping[str, Any]) -> dict[str, Any]:
        """Our fields, as far as a published config has them.

        The first release says how many layers apart the global ones are, transformers
        5 names the kind of each layer.

        Raises:
            ValueError: if the kinds follow no such rule, or the angles another one.
        """
        fields = super().fields_of(published)
        if (kinds := published.get("layer_types")) is not None:
            # Our layers know their kind from their number, so no other order will do.
            places = [n for n, kind in enumerate(kinds) if kind == "full_attention"]
            step = places[1] if len(places) > 1 else max(1, len(kinds))
            count = fields.get("layers", len(kinds))
            if places != list(range(0, len(kinds), step)) or len(kinds) != count:
                raise ValueError(
                    f"config.json says layer_types={kinds}; bertcore's ModernBERT "
                    "needs full_attention in the first layer and in every n-th after "
                    f"it, and one kind for each of num_hidden_layers={count}"
                )
            fields["global_every"] = step
        rotary = published.get("rope_parameters") or {}
        for kind, how in rotary.items():
            how = how or {}
            if kind not in _KINDS or how.get("rope_type", "default") != "default":
                raise ValueError(
                    f"config.json says rope_parameters={rotary}; bertcore's ModernBERT "
                    f"needs rope_type='default' for {' and '.join(_KINDS)}"
                )
            if "rope_theta" in how:
                fields[_KINDS[kind]] = how["rope_theta"]
        return fields

    def to_dict(self) -> dict[str, Any]:
        """The keys of a published `config.json`."""
        pad = PADDING if self.vocab_size > PADDING else 0  # of a vocabulary of its own
        return super().to_dict() | {"pad_token_id": pad}


class ModernBert(Pretrained, config=ModernBertConfig):
    """Ids to states."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__(config)
        self.embeddings = parts.TokenTable(config, bias=False)
        self.encoder = ModernEncoder(config)
        self.apply(initialise(config.initializer_range))
        self.encoder.shrink_outputs()

    def forward(
        self,
        input_ids: Tensor,  # b s
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """The states after the last layer, `b s w`; segments have no table here."""
        check_inputs(self.config, input_ids, None, attention_mask, position_ids)
        allowed = attention_map(attention_mask)
        return self.encoder(self.embeddings(input_ids), allowed, position_ids)


class ModernBertForMaskedLM(parts.MaskedLM, config=ModernBertConfig):
    """Which piece belongs at each place."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__(config, ModernBert(config), ModernMaskedLMHead(config))


class ModernBertForSequenceClassification(
    parts.TextClassifier, config=ModernBertConfig
):
    """One answer a text."""

    def __init__(self, config: ModernBertConfig) -> None:
        head = ModernHead(config, config.num_labels, first=True)
        super().__init__(config, ModernBert(config), head)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """Logits, `b num_labels`."""
        hidden = self.bert(input_ids, token_type_ids, attention_mask, position_ids)
        if self.config.pooling == "mean":
            if attention_mask is None:
                attention_mask = torch.ones_like(input_ids)
            pooled = mean_pool(hidden, attention_mask)
            hidden = rearrange(pooled, "b w -> b 1 w")
        return self.head(hidden)


class ModernBertForTokenClassification(parts.TokenClassifier, config=ModernBertConfig):
    """One answer a token."""

    def __init__(self, config: ModernBertConfig) -> None:
        head = ModernHead(config, config.num_labels, first=False)
        super().__init__(config, ModernBert(config), head)


class ModernBertForQuestionAnswering(parts.SpanReader, config=ModernBertConfig):
    """Where an answer starts and ends."""

    def __init__(self, config: ModernBertConfig) -> None:
        head = ModernHead(config, 2, first=False)
        super().__init__(config, ModernBert(config), head)


def local_map(length: int, window: int, device: torch.device | None = None) -> Tensor:
    """Which query may look at which key, if it sees window / 2 on either side.

    Returns:
        A boolean map, `1 1 q k`; combine it with another by `&`.

    >>> local_map(4, window=2)[0, 0].int().tolist()
    [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    """
    places = torch.arange(length, device=device)
    near = (places[:, None] - places).abs() <= window // 2
    return rearrange(near, "q k -> 1 1 q k")


class ModernFeedForward(nn.Module):
    """Up-projection twice, GELU on one as the other's gate, down-projection (GEGLU).

    Shazeer 2020 (arXiv:2002.05202).
    """

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.feedforward_size
        self.widen = nn.Linear(width, 2 * inner, bias=False)
        self.narrow = nn.Linear(inner, width, bias=False)
        self.dropout = nn.Dropout(config.inner_dropout)
        self.gelu = config.gelu

    def forward(self, hidden: Tensor) -> Tensor:
        """`b s w` to `b s w`."""
        gate, value = self.widen(hidden).chunk(2, dim=-1)
        activated = F.gelu(gate, approximate=self.gelu)  # b s f
        return self.narrow(self.dropout(activated * value))  # b s w


class ModernLayer(nn.Module):
    """One layer, norm first: x + F(LayerNorm(x)), twice."""

    def __init__(self, config: ModernBertConfig, number: int) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        norm = nn.LayerNorm(width, eps=eps, bias=False)
        # The embeddings come out of a norm, so the first layer needs none.
        self.attention_norm = norm if number else nn.Identity()
        self.attention = RotaryAttention(config)
        self.feedforward_norm = nn.LayerNorm(width, eps=eps, bias=False)
        self.feedforward = ModernFeedForward(config)
        self.is_global = number % config.global_every == 0

    def forward(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor], allowed: Tensor | None
    ) -> Tensor:
        """States in, states out, `b s w`; `turns` go to the attention."""
        normed = self.attention_norm(hidden)  # b s w
        hidden = hidden + self.attention(normed, turns, allowed)  # b s w
        return hidden + self.feedforward(self.feedforward_norm(hidden))  # b s w


class ModernEncoder(nn.Module):
    """The layers, each with the map and the angles of its kind, and a last norm."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ModernLayer(config, number) for number in range(config.layers)
        )
        width, eps = config.hidden_size, config.layer_norm_eps
        self.norm = nn.LayerNorm(width, eps=eps, bias=False)
        self.window, self.head = config.window, width // config.heads
        self.bases = {True: config.global_base, False: config.local_base}

    def forward(
        self,
        hidden: Tensor,  # b s w
        allowed: Tensor | None = None,
        position_ids: Tensor | None = None,  # b s
    ) -> Tensor:
        """The states after the last layer, `b s w`."""
        length, device = hidden.shape[1], hidden.device
        if position_ids is None:
            position_ids = torch.arange(length, device=device)[None]
        places = rearrange(position_ids, "b s -> b 1 s")
        turns = {kind: angles(places, self.head, base) for kind, base in
                 self.bases.items()}  # fmt: skip
        near = local_map(length, self.window, device)
        maps = {True: allowed, False: near if allowed is None else _both(near, allowed)}
        for layer in self.layers:
            kind = layer.is_global
            hidden = layer(hidden, turns[kind], maps[kind])  # b s w
        return self.norm(hidden)  # b s w

    @torch.no_grad()
    def shrink_outputs(self) -> None:
        """Starting weights of what is added to the states, by 1 / sqrt(2 layers)."""
        for layer in self.layers:
            for linear in (layer.attention.output, layer.feedforward.narrow):
                linear.weight *= (2 * len(self.layers)) ** -0.5


def _both(near: Tensor, allowed: Tensor) -> Tensor:
    """What is near and allowed; a query without such a key, padding, sees itself.

    A row of a map with nothing to look at would have no softmax.
    """
    keys = near & allowed  # b 1 q k
    itself = torch.eye(near.shape[-1], dtype=torch.bool, device=near.device)
    return keys | (~keys.any(dim=-1, keepdim=True) & itself)  # b 1 q k


class ModernHead(nn.Module):
    """Dense, GELU, norm; then scores."""

    def __init__(self, config: ModernBertConfig, outputs: int, first: bool) -> None:
        """
        Args:
            config: its width.
            outputs: how many scores.
            first: read the first state of each text, or else every state.
        """
        super().__init__()
        width = config.hidden_size
        self.dense = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps, bias=False)
        self.dropout = nn.Dropout(config.head_dropout)
        self.output = nn.Linear(width, outputs)
        self.first = first

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits."""
        hidden = hidden[:, 0] if self.first else hidden
        return self.output(self.dropout(self.norm(F.gelu(self.dense(hidden)))))


class ModernMaskedLMHead(nn.Module):
    """Dense, GELU, norm, the token table, a bias."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.dense = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden: Tensor, token_table: Tensor) -> Tensor:
        """Logits over the vocabulary: `… w` to `… v`."""
        changed = self.norm(F.gelu(self.dense(hidden)))
        return F.linear(changed, token_table, self.bias)


def angles(places: Tensor, width: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angle by which each pair of numbers is turned.

    Args:
        places: whole numbers, `… s`.
        width: of a head, d; there are d / 2 pairs, the first turns by 1 a place, each
            next one slower, the last by about 1 / base.
        base: theta of the paper, 10,000 there.

    Returns:
        Two tensors, `… s d`.
    """
    pairs = torch.arange(0, width, 2, device=places.device, dtype=torch.float32)
    turned = places[..., None].float() * base ** (-pairs / width)
    both = torch.cat([turned, turned], dim=-1)
    return both.cos(), both.sin()


def rotate(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Queries or keys, `b h s d`, each pair turned by the angle of its place."""
    first, second = heads.chunk(2, dim=-1)
    across = torch.cat([-second, first], dim=-1)
    return (heads * cosine + across * sine).to(heads.dtype)  # b h s d


class RotaryAttention(nn.Module):
    """Attention that turns queries and keys by the angles of their places."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.dropout = config.attention_dropout

    def forward(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor], allowed: Tensor | None
    ) -> Tensor:
        """Each query's weighted sum of the values, `b s w`.

        Args:
            hidden: the states, `b s w`.
            turns: cosine and sine, `b 1 s d` each.
            allowed: True where a query may look at a key, `b 1 q k`.
        """
        query, key, value = self._parts(hidden, turns)
        summed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=allowed,
            dropout_p=self.dropout if self.training else 0.0,
        )  # b h s d
        output = self.output(rearrange(summed, "b h s d -> b s (h d)"))  # b s w
        return F.dropout(output, self.dropout, self.training)  # b s w

    def weights(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor], allowed: Tensor | None
    ) -> Tensor:
        """How much each query takes from each key, `b h q k`; rows sum to 1."""
        query, key, _ = self._parts(hidden, turns)
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5  # b h q k
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)  # b h q k
        return scores.softmax(dim=-1)  # b h q k

    def _parts(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = rearrange(
            self.qkv(hidden), "b s (three h d) -> three b h s d", three=3, h=self.heads
        )
        return rotate(query, *turns), rotate(key, *turns), value
