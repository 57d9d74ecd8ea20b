"""Generate: a batch of sources in, a text for each out (chapter 7)."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from bertcore.model.decoder.beam import beam_search
from bertcore.model.decoder.draft import Draft, Writer
from bertcore.model.decoder.search import Search, chosen
from bertcore.model.inference import evaluation

Step = dict[int, tuple[int, float]]  # row -> token and its log-probability


class Written(NamedTuple):
    """What was written, without the token that ends it.

    `score` is the sum of the log-probabilities of the tokens, that one included; with
    beams divided by length ** length_penalty. `ended` is whether it came to an end, or
    was cut at `max_tokens`.
    """

    ids: list[int]
    score: float
    ended: bool


def generate(
    model: Writer,
    batch: Mapping[str, Tensor],
    search: Search | None = None,
    cached: bool = True,
) -> list[Written]:
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
        draft = Draft(model, batch, search, cached)
        if search.beams > 1:
            return [Written(*found) for found in beam_search(draft, search)]
        rows = len(draft.ids)
        texts: list[list[int]] = [[] for _ in range(rows)]
        scores, ended = [0.0] * rows, [False] * rows
        for step in _steps(draft, search):
            for row, (token, score) in step.items():
                scores[row] += score
                ended[row] = token == search.stop_id
                if not ended[row]:
                    texts[row].append(token)
    return [Written(*each) for each in zip(texts, scores, ended, strict=True)]


def stream(
    model: Writer,
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
        steps = _steps(Draft(model, batch, search, cached), search)
    return _apart(model, steps)


def _apart(model: Writer, steps: Iterator[Step]) -> Iterator[Step]:
    """The steps; between them the model is in the mode that it had."""
    while True:
        with evaluation(model), torch.inference_mode():
            step = next(steps, None)
        if step is None:
            return
        yield step


def _steps(draft: Draft, search: Search) -> Iterator[Step]:
    device = draft.ids.device
    generator = torch.Generator(device).manual_seed(search.seed)
    rows = list(range(len(draft.ids)))
    for _ in range(search.max_tokens):
        logits = draft.logits()  # b v
        tokens = chosen(logits, search, generator)  # b
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
