"""Generate: greedy decoding, sampling and beam search (chapter 7).

`generate` takes a batch of sources and writes one text for each, as `Search` says.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from bertcore.model.config import BertConfig, changed
from bertcore.model.decoder import Decoder, KeyValueCache
from bertcore.model.encoder_decoder import EncoderDecoder
from bertcore.model.inference import evaluation
from bertcore.model.inputs import check_inputs

Step = dict[int, tuple[int, float]]  # row -> token and its log-probability
# Of BERT's published vocabularies.
CLS_ID, SEP_ID = 101, 102
# The fields that count, or are an id, and the least that they may be.
_WHOLE = {"max_tokens": 1, "beams": 1, "top_k": 1}
# Logits divided by less may be more than single precision holds.
_COLDEST = 0.001
WritingModel = Decoder | EncoderDecoder
# What a batch may hold, in the order of `check_inputs`.
_SOURCE = ("input_ids", "token_type_ids", "attention_mask", "position_ids")
_BEGINNING = _SOURCE[:3]
_NEVER = -1e9  # a score that loses to all others
BestText = tuple[list[int], float, bool]


class Generated(NamedTuple):
    """What was written, without the token that ends it.

    `score` is the sum of the log-probabilities of the tokens, that one included; with
    beams divided by length ** length_penalty. `ended` is whether it came to an end, or
    was cut at `max_tokens`.
    """

    ids: list[int]
    score: float
    ended: bool


@dataclass(frozen=True)
class Search:
    """How a text is written, token by token.

    The default takes the likeliest token each time (greedy). More `beams` follow as
    many beginnings at once. A `temperature` above 0 draws.

    Args:
        max_tokens: the most that are written; the one that ends counts.
        beams: beginnings that are followed at once.
        length_penalty: a finished beam's score is the sum of its log-probabilities
            divided by length ** length_penalty: 0 favours short texts, 1 compares
            means, more favours long ones.
        temperature: the logits are divided by it, and a token is drawn; 0 draws none.
        top_k: draw among so many likeliest only (Fan et al. 2018).
        top_p: draw among the fewest likeliest that have this probability together
            (Holtzman et al. 2020).
        start_id: what a target begins with: [CLS].
        stop_id: what ends it: [SEP]. None: all texts have `max_tokens`.
        seed: of what is drawn.

    Raises:
        ValueError: naming the field that makes no sense, and what would.
    """

    max_tokens: int = 64
    beams: int = 1
    length_penalty: float = 1.0
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    start_id: int = CLS_ID
    stop_id: int | None = SEP_ID
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _WHOLE.items():
            value = getattr(self, name)
            if value is None and name in ("top_k", "stop_id"):
                continue
            if type(value) is not int or value < least:
                raise ValueError(
                    f"{name}={value!r} must be an integer of {least} or more"
                )
        for name in ("temperature", "length_penalty"):
            if not _is_number(getattr(self, name)):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} must be a finite number"
                )
        if self.temperature and self.temperature < _COLDEST:
            raise ValueError(
                f"temperature={self.temperature!r} must be 0, which draws nothing, or "
                f"{_COLDEST} or more"
            )
        if self.top_p is not None and not (
            _is_number(self.top_p) and 0 < self.top_p <= 1
        ):
            raise ValueError(f"top_p={self.top_p!r} must be above 0, and at most 1")
        narrows = self.top_k is not None or self.top_p is not None
        if narrows and not self.temperature:
            raise ValueError(
                "top_k and top_p say among which tokens one is drawn, and with "
                "temperature=0 none is; give temperature=1.0, or leave them out"
            )
        if self.beams > 1 and self.temperature:
            raise ValueError(
                f"beams={self.beams} and temperature={self.temperature}: beams follow "
                "the likeliest, a temperature draws; give one of the two"
            )

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return changed(self, changes)


def generate(
    model: WritingModel,
    batch: Mapping[str, Tensor],
    search: Search | None = None,
    cached: bool = True,
) -> list[Generated]:
    """Write a text for each row of a batch.

    The model is put into evaluation mode for a while; no gradients are kept.

    Args:
        model: an `EncoderDecoder`, or a `Decoder` without cross-attention.
        batch: for the first the sources, as a tokenizer gives them, one a row (not
            packed); for the other the beginnings that it goes on from.
        search: how; by default the likeliest token each time.
        cached: keep keys and values of the tokens before. Without, all is computed
            anew for each token: the same, and slow.

    Raises:
        ValueError: if a row is empty, too long or not of the vocabulary, or what is
            to be written does not fit into the position table.
    """
    search = search or Search()
    with evaluation(model), torch.inference_mode():
        draft = GenerationState(model, batch, search, cached)
        if search.beams > 1:
            return [Generated(*found) for found in beam_search(draft, search)]
        rows = len(draft.ids)
        texts: list[list[int]] = [[] for _ in range(rows)]
        scores, ended = [0.0] * rows, [False] * rows
        for step in _steps(draft, search):
            for row, (token, score) in step.items():
                scores[row] += score
                ended[row] = token == search.stop_id
                if not ended[row]:
                    texts[row].append(token)
    return [Generated(*each) for each in zip(texts, scores, ended, strict=True)]


def stream(
    model: WritingModel,
    batch: Mapping[str, Tensor],
    search: Search | None = None,
    cached: bool = True,
) -> Iterator[Step]:
    """The same, a token of each text at a time, as it comes.

    The model must not be changed in between. It is in evaluation mode only while it
    computes.

    Yields:
        Row -> token and its log-probability, of the rows that have not ended before.

    Raises:
        ValueError: as `generate`; or if the search has beams, which change their mind.
    """
    search = search or Search()
    if search.beams > 1:
        raise ValueError(
            f"beams={search.beams}: which beam wins is known at the end only; stream "
            "with beams=1, or call generate"
        )
    with evaluation(model), torch.inference_mode():
        steps = _steps(GenerationState(model, batch, search, cached), search)
    return _apart(model, steps)


def _apart(model: WritingModel, steps: Iterator[Step]) -> Iterator[Step]:
    """The steps; between them the model is in the mode that it had."""
    while True:
        with evaluation(model), torch.inference_mode():
            step = next(steps, None)
        if step is None:
            return
        yield step


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
        self.memories = [KeyValueCache() for _ in layers] if cached else None

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


def _steps(draft: GenerationState, search: Search) -> Iterator[Step]:
    device = draft.ids.device
    generator = torch.Generator(device).manual_seed(search.seed)
    rows = list(range(len(draft.ids)))
    for _ in range(search.max_tokens):
        logits = draft.logits()  # b v
        tokens = pick_tokens(logits, search, generator)  # b
        scores = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]  # b
        draft.append(tokens)
        pairs = list(zip(tokens.tolist(), scores.tolist(), strict=True))
        yield dict(zip(rows, pairs, strict=True))
        going = [n for n, (token, _) in enumerate(pairs) if token != search.stop_id]
        if not going:
            return
        if len(going) < len(rows):  # what has ended costs no more
            draft.choose(torch.tensor(going, device=device))
            rows = [rows[n] for n in going]


_WHOLE |= {"start_id": 0, "stop_id": 0, "seed": 0}


def _is_number(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def filtered_logits(
    logits: Tensor,  # b v
    search: Search,
) -> Tensor:
    """Logits as the search draws from them: divided, and -inf where it never does."""
    logits = logits / search.temperature  # b v
    if search.top_k is not None:
        count = min(search.top_k, logits.shape[-1])
        least = logits.topk(count).values[:, -1:]  # b 1
        logits = logits.masked_fill(logits < least, -torch.inf)  # b v
    if search.top_p is not None and search.top_p < 1:
        ordered, order = logits.sort(descending=True)
        chances = ordered.softmax(-1)  # b v
        before = chances.cumsum(-1) - chances  # b v
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
    chances = filtered_logits(logits, search).softmax(-1)  # b v
    return torch.multinomial(chances, 1, generator=generator)[:, 0]  # b


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


class Hypotheses:
    """The best ends of one text: as many as there are beams, the best first."""

    def __init__(self, beams: int) -> None:
        self.beams = beams
        self.ends: list[BestText] = []

    def add(self, ids: list[int], score: float, ended: bool) -> None:
        """Keep it if it is among the best."""
        self.ends.append((ids, score, ended))
        self.ends = sorted(self.ends, key=lambda end: -end[1])[: self.beams]

    def beaten_by(self, score: float) -> bool:
        """Whether a beam of this score may yet find its place among these."""
        return len(self.ends) < self.beams or score > self.ends[-1][1]


def beam_search(draft: GenerationState, search: Search) -> list[BestText]:
    """Ids, score, and whether it ended, of the best text of each row.

    At each step a row's `beams` beginnings are continued by every token, and the best
    2 · beams are looked at: of the best `beams` among them those that end are finished,
    and the best that do not end go on. A row is done when its best beginning, at its
    present length, scores no more than its worst finished text. That is how the
    transformers library does it, with `early_stopping=False`.

    Args:
        draft: the rows, before the first token.
        search: how.
    """
    beams, rows = search.beams, list(range(len(draft.ids)))
    begun, device = draft.ids.shape[1], draft.ids.device
    finished = [Hypotheses(beams) for _ in rows]
    draft.choose(torch.arange(len(rows), device=device).repeat_interleave(beams))
    totals = torch.full((len(rows), beams), _NEVER, device=device)
    totals[:, 0] = 0.0  # all beams of a row begin alike: go on from one
    for length in range(1, search.max_tokens + 1):
        best, beam, token = _continuations(draft, totals)
        ends = token == search.stop_id if search.stop_id is not None else token < 0
        over = ends | (length == search.max_tokens)
        scores = best / length**search.length_penalty
        _finish(finished, rows, draft.ids[:, begun:], (scores, beam, token, ends, over))
        going = (best + over * _NEVER).topk(beams)
        totals = going.values
        first = beams * torch.arange(len(rows), device=device)[:, None]
        draft.follow((first + beam.gather(1, going.indices)).flatten())
        draft.append(token.gather(1, going.indices).flatten())
        hopes = (totals[:, 0] / length**search.length_penalty).tolist()
        open_ = [n for n, row in enumerate(rows) if finished[row].beaten_by(hopes[n])]
        if not open_ or length == search.max_tokens:
            break
        if len(open_) < len(rows):  # what is done costs no more
            kept = torch.tensor(open_, device=device)
            totals = totals[kept]
            each = torch.arange(beams, device=device)
            draft.choose((beams * kept[:, None] + each).flatten())
            rows = [rows[n] for n in open_]
    return [each.ends[0] for each in finished]


def _continuations(
    draft: GenerationState,
    totals: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The best 2 · k of each row: their scores, beams and tokens."""
    beams = totals.shape[1]
    scores = draft.logits().log_softmax(-1)  # b v
    pieces = scores.shape[1]
    sums = rearrange(scores, "(r k) v -> r k v", k=beams) + totals[:, :, None]
    best, place = rearrange(sums, "r k v -> r (k v)").topk(2 * beams)
    return best, place // pieces, place % pieces


def _finish(
    finished: list[Hypotheses],
    rows: list[int],
    written: Tensor,
    found: tuple[Tensor, ...],
) -> None:
    """Add what ends here of the best `beams` of each row."""
    beams = finished[0].beams
    scores, beam, token, ends, over = (each[:, :beams].tolist() for each in found)
    for n, row in enumerate(rows):
        for rank in range(beams):
            if over[n][rank]:
                ids = written[n * beams + beam[n][rank]].tolist()
                if not ends[n][rank]:
                    ids = [*ids, token[n][rank]]
                finished[row].add(ids, scores[n][rank], ends[n][rank])
