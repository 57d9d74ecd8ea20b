"""Beam: several beginnings of each text at once, and the best that ends (chapter 7)."""

import torch
from einops import rearrange
from torch import Tensor

from bertcore.model.decoder.draft import Draft
from bertcore.model.decoder.search import Search

_NEVER = -1e9  # a score that loses to all others

Found = tuple[list[int], float, bool]


class Finished:
    """The best ends of one text: as many as there are beams, the best first."""

    def __init__(self, beams: int) -> None:
        self.beams = beams
        self.ends: list[Found] = []

    def add(self, ids: list[int], score: float, ended: bool) -> None:
        """Keep it if it is among the best."""
        self.ends.append((ids, score, ended))
        self.ends = sorted(self.ends, key=lambda end: -end[1])[: self.beams]

    def beaten_by(self, score: float) -> bool:
        """Whether a beam of this score may yet find its place among these."""
        return len(self.ends) < self.beams or score > self.ends[-1][1]


def beam_search(draft: Draft, search: Search) -> list[Found]:
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
    finished = [Finished(beams) for _ in rows]
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
    draft: Draft,
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
    finished: list[Finished],
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
