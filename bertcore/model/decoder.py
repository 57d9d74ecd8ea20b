"""Decoder: BERT that reads from left to right and says what comes next (chapter 7).

Its layers, its key-value cache, the maps of who may attend to whom, and the
encoder-decoder: one BERT reads, a decoder attends to it and writes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from einops import rearrange
from torch import Tensor, nn

from bertcore.files import read_json
from bertcore.model.attention import Attention, causal_map, cross_map
from bertcore.model.bert import Bert
from bertcore.model.config import BertConfig
from bertcore.model.feedforward import FeedForward
from bertcore.model.heads import MaskedLMHead
from bertcore.model.inputs import check_inputs, check_source, readable
from bertcore.model.weights import Pretrained, initialise, loaded
from bertcore.sources import find_file

KeysAndValues = tuple[Tensor, Tensor]


class KeyValueCache:
    """The keys and values that one layer of a decoder need not compute again.

    `target` holds those of the tokens written so far, `source` those of the encoder's
    states: the pair that `Attention.offer` computes, `b h k d` each.
    """

    def __init__(self) -> None:
        self.target: KeysAndValues | None = None
        self.source: KeysAndValues | None = None

    @property
    def length(self) -> int:
        """Tokens of the target so far."""
        return 0 if self.target is None else self.target[0].shape[2]

    def extend(
        self,
        key: Tensor,  # b h q d
        value: Tensor,  # b h q d
    ) -> KeysAndValues:
        """Append those of new tokens, and return those of all tokens so far."""
        if self.target is not None:
            key = torch.cat([self.target[0], key], dim=2)  # b h k d
            value = torch.cat([self.target[1], value], dim=2)  # b h k d
        self.target = key, value
        return self.target

    def of_source(self, attention: Attention, source: Tensor) -> KeysAndValues:
        """Those of the source, computed at the first token and kept for the others."""
        if self.source is None:
            self.source = attention.offer(source)
        return self.source

    def follow(self, rows: Tensor) -> None:
        """Go on from these rows of the batch, in this order, with the same sources."""
        if self.target is not None:
            self.target = self.target[0][rows], self.target[1][rows]

    def choose(self, rows: Tensor) -> None:
        """Keep these rows with their sources, in this order; one may be kept twice."""
        self.follow(rows)
        if self.source is not None:
            self.source = self.source[0][rows], self.source[1][rows]


class Decoder(Pretrained):
    """Ids to the logits of what comes next: BERT with layers that look back only.

    Without `cross` its parameters are those of `BertForMaskedLM`, under the same names.
    In files it is `BertLMHeadModel` of the transformers library.
    """

    def __init__(self, config: BertConfig, cross: bool = True) -> None:
        super().__init__(config)
        self.bert = Bert(config, pooler=False)
        layers = [DecoderLayer(config, cross) for _ in range(config.layers)]
        self.bert.encoder.layers = nn.ModuleList(layers)
        self.mlm_head = MaskedLMHead(config)
        self.cross = cross
        self.apply(initialise(config.initializer_range))

    @classmethod
    def from_pretrained(
        cls, folder_or_name: str | Path, cross: bool | None = None, **changes: Any
    ) -> Self:
        """The model with a checkpoint's weights, float32, in evaluation mode.

        Args:
            folder_or_name: a folder, or a name on the hub, of a decoder or of BERT.
            cross: whether it attends to a source. Default: what the checkpoint says.
                Cross-attention that it lacks starts from random weights, and a warning
                says so.
            changes: fields of the config to change.
        """
        published = read_json(find_file(folder_or_name, "config.json"))
        config = BertConfig.from_dict({**published, "is_decoder": False}, **changes)
        if cross is None:
            cross = published.get("add_cross_attention", False)
        return loaded(folder_or_name, lambda: cls(config, cross))

    def states(
        self,
        input_ids: Tensor,  # b q
        token_type_ids: Tensor | None = None,  # b q
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b q
        source: Tensor | None = None,
        source_mask: Tensor | None = None,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Tensor:
        """The states after the last layer, `b q w`, from what `forward` takes.

        Args:
            caches: one for each layer. Then `input_ids` holds the new tokens alone,
                `attention_mask` old and new ones, and positions go on from the old.
        """
        old = caches[0].length if caches else 0
        if position_ids is None and old:
            end = old + input_ids.shape[1]
            position_ids = torch.arange(old, end, device=input_ids.device)
            position_ids = position_ids.expand(len(input_ids), -1)  # b q
        # With caches the mask is longer than the ids: `back_map` checks it.
        mask = attention_mask if caches is None else None
        check_inputs(self.config, input_ids, token_type_ids, mask, position_ids)
        batch, width = len(input_ids), self.config.hidden_size
        check_source(self.cross, source, source_mask, batch, width)
        hidden = self.bert.embeddings(input_ids, token_type_ids, position_ids)  # b q w
        length = old + input_ids.shape[1]
        allowed = back_map(attention_mask, length, input_ids.device, old)
        source_allowed = source_map(source_mask, attention_mask, old)
        for number, layer in enumerate(self.bert.encoder.layers):
            cache = None if caches is None else caches[number]
            hidden = layer(hidden, allowed, source, source_allowed, cache)  # b q w
        return hidden  # b q w

    def forward(
        self,
        input_ids: Tensor,  # b q
        token_type_ids: Tensor | None = None,  # b q
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # b q
        source: Tensor | None = None,
        source_mask: Tensor | None = None,
    ) -> Tensor:
        """Logits over the vocabulary, `b q v`: at each token, of the token after it.

        Args:
            input_ids: piece ids of the target, `b q`.
            token_type_ids: segments; default 0.
            attention_mask: `b q`, 1 for a token and 0 for padding, in a packed row the
                number of the token's text. No token sees a later one in any case.
            position_ids: rows of the position table; default 0, 1, 2, …
            source: the states of an encoder, `b k w`.
            source_mask: `b k`, the same for the source; default: attend to all of it.

        Raises:
            ValueError: if a shape, a type or an id is not one the tables can take, or
                there is a source without cross-attention, or the other way round.
        """
        hidden = self.states(
            input_ids, token_type_ids, attention_mask, position_ids, source, source_mask
        )  # b q w
        return self.scores(hidden)  # b q v

    def scores(self, hidden: Tensor) -> Tensor:
        """Logits of states, `… w` to `… v`."""
        return self.mlm_head(hidden, self.bert.embeddings.token.weight)

    def published_config(self) -> dict[str, object]:
        """What `config.json` says of this model."""
        flags = {"is_decoder": True, "add_cross_attention": self.cross}
        return {**self.config.to_dict(), **flags}


def source_map(
    source_mask: Tensor | None, attention_mask: Tensor | None, old: int = 0
) -> Tensor | None:
    """Which token of the target may look at which state of the source, `b 1 q k`.

    Args:
        source_mask: `b k`, or None: at all of them.
        attention_mask: `b q`, of the target, or None.
        old: tokens at the beginning of the target that are cached, so ask no more.

    Raises:
        ValueError: if a text of the target has no source, or which is its source is
            not said.
    """
    if source_mask is None:
        return None
    new_mask = None if attention_mask is None else attention_mask[:, old:]
    allowed = cross_map(source_mask, new_mask)
    if not readable(source_mask):  # on a GPU a look at the values would stop the queue
        return allowed
    if attention_mask is None and bool((source_mask > 1).any()):
        raise ValueError(
            "source_mask numbers several texts of a row, but which tokens of the "
            "target are whose is not said; give attention_mask with the same numbers"
        )
    # A softmax over nothing would be NaN, and spread through the row from there.
    sourceless = (~allowed.any(dim=-1)).nonzero()
    if len(sourceless):
        raise ValueError(
            f"a token in row {sourceless[0, 0].item()} may look at nothing of the "
            "source; each number in attention_mask must be in that row of source_mask, "
            "too, and a row of zeros is no source"
        )
    return allowed


def back_map(
    attention_mask: Tensor | None, length: int, device: torch.device, old: int = 0
) -> Tensor:
    """Which token may look at which: at itself, and back within its text, `b 1 q k`.

    Args:
        attention_mask: `b k`, 1 for a token and 0 for padding, in a packed row the
            number of the token's text; or None.
        length: of the rows.
        device: of the result.
        old: tokens at the beginning that are cached: looked at, but asking no more.

    Raises:
        ValueError: if the mask has another length.
    """
    if attention_mask is None:
        return causal_map(length, device)[..., old:, :]  # 1 1 q k
    if attention_mask.dim() != 2 or attention_mask.shape[1] != length:
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}; expected "
            f"(batch, {length}), one number for each token so far"
        )
    key = torch.arange(length, device=device)
    query = rearrange(key[old:], "q -> q 1")  # q 1
    own_text = cross_map(attention_mask, attention_mask[:, old:])  # b 1 q k
    return own_text & (key <= query) | (key == query)  # b 1 q k


class DecoderLayer(nn.Module):
    """One layer, post-LN: attention backwards, attention to a source, feed-forward.

    Vaswani et al. 2017, 3.1. Without `cross` it is BERT's own layer.
    """

    def __init__(self, config: BertConfig, cross: bool = True) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.cross = Attention(config) if cross else None
        self.cross_norm = nn.LayerNorm(width, eps=eps) if cross else None
        self.feedforward = FeedForward(config)
        self.feedforward_norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        hidden: Tensor,  # b q w
        allowed: Tensor | None = None,
        source: Tensor | None = None,
        source_allowed: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """States in, states out: `b q w` to `b q w`.

        Args:
            hidden: the states of the target.
            allowed: which of them may look at which, `b 1 q k`.
            source: the states of the encoder, `b k w`.
            source_allowed: which token may look at which of these, `b 1 q k`.
            cache: keys and values of the tokens before; the new ones are added to it.
        """
        cache = KeyValueCache() if cache is None else cache
        key, value = cache.extend(*self.attention.offer(hidden))
        attended = self.attention.ask(hidden, key, value, allowed)  # b q w
        hidden = self.attention_norm(hidden + self.dropout(attended))  # b q w
        if self.cross is not None:
            key, value = cache.of_source(self.cross, source)
            attended = self.cross.ask(hidden, key, value, source_allowed)  # b q w
            hidden = self.cross_norm(hidden + self.dropout(attended))  # b q w
        changed = self.dropout(self.feedforward(hidden))  # b q w
        return self.feedforward_norm(hidden + changed)  # b q w


class EncoderDecoder(Pretrained):
    """A text in, a text out: BERT without a pooler, and a decoder that attends to it.

    In files it is `EncoderDecoderModel` of the transformers library.
    """

    def __init__(
        self,
        config: BertConfig,
        decoder_config: BertConfig | None = None,
        cross: bool = True,
        tied: bool = False,
    ) -> None:
        """
        Args:
            config: of the encoder.
            decoder_config: by default the same; the hidden size must be.
            cross: whether the decoder attends to the encoder. Without, it knows nothing
                of the source, which only an experiment wants.
            tied: whether both share embeddings, layers and norms, so that only
                cross-attention and the head are the decoder's own (Rothe et al. 2020,
                "BERTShare").

        Raises:
            ValueError: if the two do not fit together.
        """
        super().__init__(config)
        decoder_config = config if decoder_config is None else decoder_config
        self.encoder = Bert(config, pooler=False)
        self.decoder = Decoder(decoder_config, cross)
        _check_both(config, decoder_config, tied)
        self.tied = tied
        if tied:
            self._tie()

    @classmethod
    def from_pretrained(cls, folder_or_name: str | Path, **changes: Any) -> Self:
        """The model with a checkpoint's weights, float32, in evaluation mode.

        Args:
            folder_or_name: a folder, or a name on the hub, of an encoder-decoder;
                `from_bert` makes one of BERT's weights.
            changes: fields to change in both configs.
        """
        published = read_json(find_file(folder_or_name, "config.json"))
        if published.get("model_type") != "encoder-decoder":
            raise ValueError(
                f"{folder_or_name} is a model of type {published.get('model_type')!r}, "
                "and this class reads 'encoder-decoder'; of BERT's weights "
                "EncoderDecoder.from_bert(…) makes one"
            )
        for part in ("encoder", "decoder"):
            if not isinstance(published.get(part), dict):
                raise ValueError(
                    f"config.json of {folder_or_name} has no table of the {part}; an "
                    "encoder-decoder's has one for each of the two"
                )
        # `BertConfig` describes encoders and refuses `is_decoder`; here it is meant.
        decoder = {**published["decoder"], "is_decoder": False}
        config = BertConfig.from_dict(published["encoder"], **changes)
        decoder_config = BertConfig.from_dict(decoder, **changes)
        cross = decoder.get("add_cross_attention", True)
        tied = bool(published.get("tie_encoder_decoder"))
        return loaded(folder_or_name, lambda: cls(config, decoder_config, cross, tied))

    @classmethod
    def from_bert(
        cls,
        encoder: str | Path,
        decoder: str | Path | None = None,
        tied: bool = False,
        **changes: Any,
    ) -> Self:
        """Both from BERT's weights: BERT2BERT of Rothe et al. 2020, arXiv:1907.12461.

        Cross-attention starts from random weights, because no BERT has it. So does the
        head if the checkpoint has none, and then a warning names it.

        Args:
            encoder: a folder, or a name on the hub.
            decoder: another; by default the same.
            tied: whether both share embeddings, layers and norms; then `decoder` must
                be left out.
            changes: fields to change in both configs, such as `dropout=0.0`.

        Raises:
            FileNotFoundError: if there are no such weights.
            ValueError: if they do not fit together.
        """
        if tied and decoder is not None:
            raise ValueError(
                f"tied=True and decoder={decoder!r}: tied, both have the weights of "
                "the encoder; leave one of the two out"
            )
        config = BertConfig.from_pretrained(encoder, **changes)
        bert = loaded(encoder, lambda: Bert(config, pooler=False))
        trained = Decoder.from_pretrained(decoder or encoder, **changes)
        model = cls(config, trained.config, tied=tied)
        model.encoder.load_state_dict(bert.state_dict())
        # Not strict where the checkpoint has no cross-attention: ours stays random.
        model.decoder.load_state_dict(trained.state_dict(), strict=trained.cross)
        return model.eval()

    def forward(
        self,
        input_ids: Tensor,  # b k
        decoder_input_ids: Tensor,  # b q
        token_type_ids: Tensor | None = None,  # b k
        attention_mask: Tensor | None = None,  # b k
        position_ids: Tensor | None = None,  # b k
        decoder_attention_mask: Tensor | None = None,  # b q
        decoder_position_ids: Tensor | None = None,  # b q
    ) -> Tensor:
        """Logits over the vocabulary, `b q v`: at each token, of the token after it.

        Args:
            input_ids: piece ids of the source, `b k`.
            decoder_input_ids: those of the target, [CLS] first, `b q`.
            token_type_ids: segments of the source; default 0.
            attention_mask: 1 for a token and 0 for padding; in packed rows the number
                of the token's text, the same for source and target.
            position_ids: rows of the encoder's position table; default 0, 1, 2, …
            decoder_attention_mask: the mask of the target.
            decoder_position_ids: rows of the decoder's position table.

        Raises:
            ValueError: if a shape, a type or an id is not one the tables can take.
        """
        hidden = self.states(
            input_ids,
            decoder_input_ids,
            token_type_ids=token_type_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            decoder_attention_mask=decoder_attention_mask,
            decoder_position_ids=decoder_position_ids,
        )  # b q w
        return self.decoder.scores(hidden)  # b q v

    def states(
        self,
        input_ids: Tensor,  # b k
        decoder_input_ids: Tensor,  # b q
        token_type_ids: Tensor | None = None,  # b k
        attention_mask: Tensor | None = None,  # b k
        position_ids: Tensor | None = None,  # b k
        decoder_attention_mask: Tensor | None = None,  # b q
        decoder_position_ids: Tensor | None = None,  # b q
    ) -> Tensor:
        """The decoder's states after its last layer, `b q w`, before the head."""
        source, source_mask = self.read(
            input_ids, token_type_ids, attention_mask, position_ids
        )
        return self.decoder.states(
            decoder_input_ids,
            attention_mask=decoder_attention_mask,
            position_ids=decoder_position_ids,
            source=source,
            source_mask=source_mask,
        )

    def read(
        self,
        input_ids: Tensor,  # b k
        token_type_ids: Tensor | None = None,  # b k
        attention_mask: Tensor | None = None,  # b k
        position_ids: Tensor | None = None,  # b k
    ) -> tuple[Tensor | None, Tensor | None]:
        """What the decoder attends to: the encoder's states and their mask."""
        if not self.decoder.cross:
            return None, None
        states = self.encoder(input_ids, token_type_ids, attention_mask, position_ids)
        return states, attention_mask

    def published_config(self) -> dict[str, Any]:
        """What `config.json` says of this model."""
        return {
            "model_type": "encoder-decoder",
            "is_encoder_decoder": True,
            "tie_encoder_decoder": self.tied,
            "encoder": self.encoder.published_config(),
            "decoder": self.decoder.published_config(),
        }

    def _tie(self) -> None:
        """Put the encoder's own modules into the decoder, too."""
        self.decoder.bert.embeddings = self.encoder.embeddings
        pairs = zip(
            self.decoder.bert.encoder.layers, self.encoder.encoder.layers, strict=True
        )
        for decoder_layer, encoder_layer in pairs:
            for name, part in encoder_layer.named_children():
                setattr(decoder_layer, name, part)


def _check_both(config: BertConfig, decoder_config: BertConfig, tied: bool) -> None:
    if config.hidden_size != decoder_config.hidden_size:
        raise ValueError(
            f"hidden_size={config.hidden_size} of the encoder and "
            f"{decoder_config.hidden_size} of the decoder; cross-attention compares "
            "their states, so give both the same"
        )
    if tied and config != decoder_config:
        raise ValueError(
            "tied=True, but the configs of encoder and decoder differ; what they share "
            "has one size: leave decoder_config out"
        )
