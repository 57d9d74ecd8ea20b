"""Encoder-decoder: one BERT reads, another attends to it and writes (chapter 7)."""

from pathlib import Path
from typing import Any, Self

from torch import Tensor

from bertcore.files import read_json
from bertcore.model.bert import Bert
from bertcore.model.config import BertConfig
from bertcore.model.decoder import Decoder
from bertcore.model.weights import Pretrained, loaded
from bertcore.sources import find_file


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
