"""Draft: texts that are being written, all of a batch at once (chapter 7)."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from bertcore.model.config import BertConfig
from bertcore.model.decoder.decoder import Decoder
from bertcore.model.decoder.encoder_decoder import EncoderDecoder
from bertcore.model.decoder.memory import Memory
from bertcore.model.decoder.search import Search
from bertcore.model.inputs import check_inputs

Writer = Decoder | EncoderDecoder

# What a batch may hold, in the order of `check_inputs`.
_SOURCE = ("input_ids", "token_type_ids", "attention_mask", "position_ids")
_BEGINNING = _SOURCE[:3]


class Draft:
    """The tokens so far, and what the decoder says of the next."""

    def __init__(
        self,
        model: Writer,
        batch: Mapping[str, Tensor],
        search: Search,
        cached: bool = True,
    ) -> None:
        """
        Args:
            model: an encoder-decoder, or a decoder without cross-attention.
            batch: for the first the source, as `Bert.forward` takes it; for the other
                `input_ids`, the beginnings that it goes on from, and perhaps
                `attention_mask`; padding may stand on either side.
            search: how to write.
            cached: keep keys and values, rather than compute them anew each time.

        Raises:
            ValueError: if the batch is not one to write from, the beginnings leave too
                little room, or the model does not write.
        """
        self.source, self.source_mask = None, None
        if isinstance(model, EncoderDecoder):
            self.decoder = model.decoder
            ids, _, _ = _checked(model.config, batch, _SOURCE)
            _check_id(self.decoder.config, "start_id", search.start_id)
            self.source, self.source_mask = model.read(**batch)
            self.ids = torch.full_like(ids[:, :1], search.start_id)
            self.mask = None
        elif isinstance(model, Decoder) and not model.cross:
            self.decoder = model
            self.ids, self.mask = _beginnings(model.config, batch)
        else:
            raise ValueError(
                f"a {type(model).__name__} alone does not write; give an "
                "EncoderDecoder, or a Decoder without cross-attention"
            )
        if search.stop_id is not None:
            _check_id(self.decoder.config, "stop_id", search.stop_id)
        self._check_room(search)
        layers = self.decoder.bert.encoder.layers
        self.memories = [Memory() for _ in layers] if cached else None

    def logits(self) -> Tensor:
        """Of the next token of each text, `b v`, in single precision."""
        old = self.memories[0].length if self.memories else 0
        positions = None
        if self.mask is not None:  # padding does not count
            positions = (self.mask.cumsum(1) - 1).clamp(min=0)[:, old:]  # b q
        hidden = self.decoder.states(
            self.ids[:, old:],
            attention_mask=self.mask,
            position_ids=positions,
            source=self.source,
            source_mask=self.source_mask,
            memories=self.memories,
        )  # b q w
        return self.decoder.scores(hidden[:, -1]).float()  # b v

    def append(
        self,
        tokens: Tensor,  # b
    ) -> None:
        """One more token of each text."""
        self.ids = torch.cat([self.ids, tokens[:, None]], dim=1)
        if self.mask is not None:
            self.mask = F.pad(self.mask, (0, 1), value=1)

    def follow(self, rows: Tensor) -> None:
        """Go on from these beginnings; in place n stands one of the same source."""
        self.ids = self.ids[rows]
        if self.mask is not None:
            self.mask = self.mask[rows]
        for memory in self.memories or ():
            memory.follow(rows)

    def choose(self, rows: Tensor) -> None:
        """Go on with these texts, in this order; one may be there twice."""
        self.ids = self.ids[rows]
        for name in ("mask", "source", "source_mask"):
            if (value := getattr(self, name)) is not None:
                setattr(self, name, value[rows])
        for memory in self.memories or ():
            memory.choose(rows)

    def _check_room(self, search: Search) -> None:
        have = self.decoder.config.max_positions
        begun = self.ids.shape[1]
        if begun + search.max_tokens - 1 > have:  # the last is not read again
            raise ValueError(
                f"max_tokens={search.max_tokens} after {begun} token"
                f"{'s' if begun > 1 else ''}, but the decoder's position table has "
                f"{have} rows; give max_tokens={max(1, have - begun + 1)} at most, or "
                "begin with less"
            )


def _checked(
    config: BertConfig, batch: Mapping[str, Tensor], names: tuple[str, ...]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Ids, segments and mask of a batch with a text in each row."""
    if "input_ids" not in batch:
        held = ", ".join(batch) or "nothing"
        raise ValueError(f"the batch has no input_ids; it has {held}")
    unknown = ", ".join(sorted(set(batch) - set(names)))
    if unknown:
        raise ValueError(
            f"the batch has {unknown}, but writing takes {', '.join(names)}; leave the "
            "rest out"
        )
    ids, types, mask, positions = (batch.get(name) for name in _SOURCE)
    check_inputs(config, ids, types, mask, positions)
    if mask is not None and mask.shape != ids.shape:
        raise ValueError(
            f"attention_mask has shape {tuple(mask.shape)}; expected "
            f"{tuple(ids.shape)}, 1 for a token and 0 for padding"
        )
    if mask is not None and bool((mask > 1).any()):
        raise ValueError(
            "attention_mask numbers several texts in a row; to write, give each a row "
            "of its own"
        )
    return ids, types, mask


def _beginnings(
    config: BertConfig, batch: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor | None]:
    """Ids and mask, all padding on the left and no more of it than need be."""
    ids, types, mask = _checked(config, batch, _BEGINNING)
    if types is not None and bool(types.any()):
        raise ValueError(
            "token_type_ids holds more than 0, but what is written goes on in the "
            "first segment; leave token_type_ids out"
        )
    if mask is None:
        return ids, None
    mask = mask.to(ids)  # b s
    order = mask.argsort(dim=1, stable=True)  # b s
    order = order[:, -int(mask.sum(dim=1).max()) :]  # each row's end is its last
    return ids.gather(1, order), mask.gather(1, order)


def _check_id(config: BertConfig, name: str, number: int) -> None:
    if number >= config.vocab_size:
        remedy = "[CLS]" if name == "start_id" else "[SEP], or None for no end"
        raise ValueError(
            f"{name}={number}, but the decoder's vocabulary has {config.vocab_size} "
            f"pieces (0 to {config.vocab_size - 1}); give the id of its {remedy}"
        )
