"""Generate: greedy decoding, sampling and beam search (chapter 7).

`generate` takes a batch of sources and writes one text for each, as `Search` says.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from bertcore.model.config import BertConfig, Search
from bertcore.model.decoder import Decoder, EncoderDecoder, KeyValueCache
from bertcore.model.inference import evaluation
from bertcore.model.inputs import check_inputs
from bertcore.sources import many

WritingModel = Decoder | EncoderDecoder
_PROMPT = ("input_ids", "token_type_ids", "attention_mask")  # what a decoder reads
_SOURCE = (*_PROMPT, "position_ids")  # what an encoder reads
_NEVER = -1e9  # a score that loses to all others


class Generated(NamedTuple):
    """What was written, without the token that ends it.

    `score` is the sum of the log-probabilities of the tokens, the ending one included,
    and with beams that sum divided by length ** length_penalty. `ended` is False for a
    text that was cut at `max_tokens`.
    """

    ids: list[int]
    score: float
    ended: bool


def generate(
    model: WritingModel,
    batch: Mapping[str, Tensor],
    search: Search | None = None,
    cached: bool = True,
) -> list[Generated]:
    """Write a text for each row of a batch.

    The model is put into evaluation mode meanwhile; no gradients are kept.

    Args:
        model: an `EncoderDecoder`, or a `Decoder` without cross-attention.
        batch: for an encoder-decoder the sources, as a tokenizer gives them, one per
            row (not packed); for a decoder the beginnings that it goes on from.
        search: how; by default the likeliest token each time.
        cached: keep keys and values of the tokens before. Without, all is computed
            anew for each token, which is slow and gives the same text.

    Raises:
        ValueError: if a row is empty, too long or not of the vocabulary, or what is
            to be written does not fit into the position table.
    """
    search = search or Search()
    with evaluation(model), torch.inference_mode():
        state = GenerationState(model, batch, search, cached)
        if search.beams > 1:
            return beam_search(state, search)
        return _decode(state, search)


class GenerationState:
    """The tokens so far, and what the decoder says of the next."""

    def __init__(
        self,
        model: WritingModel,
        batch: Mapping[str, Tensor],
        search: Search,
        cached: bool = True,
    ) -> None:
        """
        Args:
            model: an encoder-decoder, or a decoder without cross-attention.
            batch: for an encoder-decoder the source: `input_ids` and perhaps
                `token_type_ids`, `attention_mask`, `position_ids`; for a decoder the
                beginnings that it goes on from: `input_ids` and perhaps
                `attention_mask`, with padding on either side.
            search: how to write.
            cached: keep keys and values, rather than compute them anew each time.

        Raises:
            ValueError: if the batch is not one to write from, the beginnings leave too
                little room, or the model does not write.
        """
        self.source, self.source_mask = None, None
        if isinstance(model, EncoderDecoder):
            self.decoder = model.decoder
            ids, _, _ = _check_batch(model.config, batch, _SOURCE)
            _check_id(self.decoder.config, "start_id", search.start_id)
            # The source is read once; each step only asks its states.
            self.source, self.source_mask = model.read(**batch)
            self.ids = torch.full_like(ids[:, :1], search.start_id)
            self.mask = None
        elif isinstance(model, Decoder) and not model.cross:
            self.decoder = model
            self.ids, self.mask = _left_padded(model.config, batch)
        else:
            raise ValueError(
                f"a {type(model).__name__} alone does not write; give an "
                "EncoderDecoder, or a Decoder without cross-attention"
            )
        if search.stop_id is not None:
            _check_id(self.decoder.config, "stop_id", search.stop_id)
        self._check_room(search)
        layers = self.decoder.bert.encoder.layers
        self.caches = [KeyValueCache() for _ in layers] if cached else None

    def logits(self) -> Tensor:
        """Of the next token of each text, `b v`, in single precision."""
        old = self.caches[0].length if self.caches else 0
        positions = None
        if self.mask is not None:  # padding does not count
            positions = (self.mask.cumsum(1) - 1).clamp(min=0)[:, old:]  # b q
        hidden = self.decoder.states(
            self.ids[:, old:],
            attention_mask=self.mask,
            position_ids=positions,
            source=self.source,
            source_mask=self.source_mask,
            caches=self.caches,
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
        """Go on from these rows; row n must be replaced by one of the same source."""
        self.ids = self.ids[rows]
        if self.mask is not None:
            self.mask = self.mask[rows]
        for cache in self.caches or ():
            cache.follow(rows)

    def choose(self, rows: Tensor) -> None:
        """Keep these rows with their sources, in this order; one may be kept twice."""
        self.ids = self.ids[rows]
        for name in ("mask", "source", "source_mask"):
            if (value := getattr(self, name)) is not None:
                setattr(self, name, value[rows])
        for cache in self.caches or ():
            cache.choose(rows)

    def _check_room(self, search: Search) -> None:
        rows, begun = self.decoder.config.max_positions, self.ids.shape[1]
        if begun + search.max_tokens - 1 > rows:  # the last is not read again
            raise ValueError(
                f"max_tokens={search.max_tokens} after {many(begun, 'token')}, but the "
                f"decoder's position table has {many(rows, 'row')}; give "
                f"max_tokens={max(1, rows - begun + 1)} at most, or begin with less"
            )


def _decode(state: GenerationState, search: Search) -> list[Generated]:
    """Greedy decoding or sampling, a token of each unfinished text at a time."""
    device = state.ids.device
    generator = torch.Generator(device).manual_seed(search.seed)
    texts = [Generated([], 0.0, ended=False) for _ in state.ids]
    rows = list(range(len(texts)))
    for _ in range(search.max_tokens):
        logits = state.logits()  # b v
        tokens = pick_tokens(logits, search, generator)  # b
        scores = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]  # b
        state.append(tokens)
        step = zip(rows, tokens.tolist(), scores.tolist(), strict=True)
        for row, token, log_probability in step:
            ids, score, _ = texts[row]
            ended = token == search.stop_id
            if not ended:  # the token that ends a text is scored, but no part of it
                ids.append(token)
            texts[row] = Generated(ids, score + log_probability, ended)
        going = [n for n, row in enumerate(rows) if not texts[row].ended]
        if not going:
            break
        if len(going) < len(rows):  # what has ended costs no more
            state.choose(torch.tensor(going, device=device))
            rows = [rows[n] for n in going]
    return texts


def filtered_logits(
    logits: Tensor,  # b v
    search: Search,
) -> Tensor:
    """Logits divided by the temperature, and -inf for tokens that are never drawn."""
    logits = logits / search.temperature  # b v
    if search.top_k is not None:
        count = min(search.top_k, logits.shape[-1])
        least = logits.topk(count).values[:, -1:]  # b 1
        logits = logits.masked_fill(logits < least, -torch.inf)  # b v
    if search.top_p is not None and search.top_p < 1:
        ordered, order = logits.sort(descending=True)
        probabilities = ordered.softmax(-1)  # b v
        # By what comes before a token, not with it: the likeliest is always kept.
        before = probabilities.cumsum(-1) - probabilities  # b v
        dropped = before >= search.top_p  # b v
        logits = logits.masked_fill(
            torch.zeros_like(dropped).scatter(-1, order, dropped), -torch.inf
        )  # b v
    return logits


def pick_tokens(
    logits: Tensor,  # b v
    search: Search,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The next token of each text, `b`: the likeliest, or one that is drawn."""
    if not search.temperature:
        return logits.argmax(-1)  # b
    probabilities = filtered_logits(logits, search).softmax(-1)  # b v
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]  # b


def _check_batch(
    config: BertConfig, batch: Mapping[str, Tensor], names: tuple[str, ...]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Ids, segments and mask of a batch, if it has one text in each row."""
    if "input_ids" not in batch:
        keys = ", ".join(batch) or "nothing"
        raise ValueError(f"the batch has no input_ids; it has {keys}")
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
    # A packed row has one last token, but each of its texts needs one to go on from.
    if mask is not None and bool((mask > 1).any()):
        raise ValueError(
            "attention_mask numbers several texts in a row; to write, give each a row "
            "of its own"
        )
    return ids, types, mask


def _left_padded(
    config: BertConfig, batch: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor | None]:
    """Ids and mask, all padding on the left and no more of it than need be."""
    ids, types, mask = _check_batch(config, batch, _PROMPT)
    if types is not None and bool(types.any()):
        raise ValueError(
            "token_type_ids holds more than 0, but what is written goes on in the "
            "first segment; leave token_type_ids out"
        )
    if mask is None:
        return ids, None
    mask = mask.to(ids)  # b s
    order = mask.argsort(dim=1, stable=True)  # b s
    # Then the last token of every row is its newest, and the next one comes after it.
    order = order[:, -int(mask.sum(dim=1).max()) :]
    return ids.gather(1, order), mask.gather(1, order)


def _check_id(config: BertConfig, name: str, number: int) -> None:
    if number >= config.vocab_size:
        remedy = "[CLS]" if name == "start_id" else "[SEP], or None for no end"
        raise ValueError(
            f"{name}={number}, but the decoder's vocabulary has {config.vocab_size} "
            f"pieces (0 to {config.vocab_size - 1}); give the id of its {remedy}"
        )


class Hypotheses:
    """The best finished texts of a row: as many as there are beams, the best first."""

    def __init__(self, beams: int) -> None:
        self.beams = beams
        self.texts: list[Generated] = []

    def add(self, text: Generated) -> None:
        """Keep it if it is among the best."""
        self.texts.append(text)
        self.texts = sorted(self.texts, key=lambda text: -text.score)[: self.beams]

    def beaten_by(self, score: float) -> bool:
        """Whether a beam of this score may yet find its place among these."""
        return len(self.texts) < self.beams or score > self.texts[-1].score


def beam_search(state: GenerationState, search: Search) -> list[Generated]:
    """The best text of each row.

    At each step a row's `beams` beginnings are continued by every token, and the best
    2 · beams are looked at: of the best `beams` among them those that end are finished,
    and the best that do not end go on. A row is done when its best beginning, at its
    present length, scores no more than its worst finished text. That is how the
    transformers library does it, with `early_stopping=False`.
    """
    beams, rows = search.beams, list(range(len(state.ids)))
    begun, device = state.ids.shape[1], state.ids.device
    offsets = torch.arange(beams, device=device)
    finished = [Hypotheses(beams) for _ in rows]
    state.choose(torch.arange(len(rows), device=device).repeat_interleave(beams))
    totals = torch.full((len(rows), beams), _NEVER, device=device)
    totals[:, 0] = 0.0  # all beams of a row begin alike: go on from one
    for length in range(1, search.max_tokens + 1):
        best, beam, token = _continuations(state, totals)
        ends = token == search.stop_id if search.stop_id is not None else token < 0
        stops = ends | (length == search.max_tokens)
        scores = best / length**search.length_penalty
        ranked = [each[:, :beams] for each in (scores, beam, token, ends, stops)]
        _finish([finished[row] for row in rows], state.ids[:, begun:], ranked)
        # Each beam ends in one way only, so at least half of 2 · beams can go on.
        chosen = (best + stops * _NEVER).topk(beams)
        totals = chosen.values
        first = beams * torch.arange(len(rows), device=device)[:, None]
        state.follow((first + beam.gather(1, chosen.indices)).flatten())
        state.append(token.gather(1, chosen.indices).flatten())
        hopes = (totals[:, 0] / length**search.length_penalty).tolist()
        going = [n for n, row in enumerate(rows) if finished[row].beaten_by(hopes[n])]
        if not going or length == search.max_tokens:
            break
        if len(going) < len(rows):  # what is done costs no more
            kept = torch.tensor(going, device=device)
            totals = totals[kept]
            state.choose((beams * kept[:, None] + offsets).flatten())
            rows = [rows[n] for n in going]
    return [hypotheses.texts[0] for hypotheses in finished]


def _continuations(
    state: GenerationState, totals: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The best 2 · beams continuations of each row: their scores, beams and tokens."""
    beams = totals.shape[1]
    scores = state.logits().log_softmax(-1)  # b v
    pieces = scores.shape[1]
    sums = rearrange(scores, "(r k) v -> r k v", k=beams) + totals[:, :, None]
    # One number for beam and token, so that one `topk` ranks both together.
    best, place = rearrange(sums, "r k v -> r (k v)").topk(2 * beams)
    return best, place // pieces, place % pieces


def _finish(
    finished: list[Hypotheses], written: Tensor, ranked: Sequence[Tensor]
) -> None:
    """Add what stops at this token to the finished texts of each row.

    `written` are the tokens of each beam before this one, row by row. `ranked` has of
    the best continuations of each row, `r k` each: score, beam, token, whether the
    token ends the text, and whether the text stops here at all.
    """
    # To Python in one go: a look at single entries would wait for the GPU each time.
    for row, columns in enumerate(
        zip(*(each.tolist() for each in ranked), strict=True)
    ):
        for score, beam, token, ends, stops in zip(*columns, strict=True):
            if stops:
                ids = written[row * finished[row].beams + beam].tolist()
                # A text that is cut keeps its last token.
                ids += [] if ends else [token]
                finished[row].add(Generated(ids, score, ends))
