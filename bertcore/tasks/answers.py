"""Answers: the span of a context that answers a question (chapter 10).

A long context is read in overlapping windows. The reference is google-research/bert
run_squad.py, `convert_examples_to_features`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import Any, ClassVar, NamedTuple
from unicodedata import category

import torch
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.bert import BertForQuestionAnswering
from bertcore.tasks import baselines
from bertcore.tasks.rows import (
    Answer,
    Labels,
    Question,
    Settings,
    are_texts,
    brief,
    field,
    fields_of,
    listed,
    text_faults,
)
from bertcore.tasks.task import (
    Feature,
    FeatureSettings,
    Fitted,
    HeadedTask,
    Scored,
    class_loss,
    metrics_library,
    window_spans,
)
from bertcore.text.batch import Slot
from bertcore.text.fast_tokenizer import AnyTokenizer
from bertcore.text.wordpiece import Piece

LONGEST_QUESTION = 64  # pieces; run_squad.py, `max_query_length`
LONGEST_ANSWER = 30  # pieces; run_squad.py, `max_answer_length`


class SpanObjective(nn.Module):
    """Where an answer starts and ends in each window, and the sum of the loss."""

    def __init__(self, model: BertForQuestionAnswering) -> None:
        super().__init__()
        self.model = model

    def scores(self, asked: Tensor, inside: Tensor, **inputs: Tensor) -> Tensor:
        """Logits of start and end, `p s 2`, -inf after a window's end.

        Args:
            asked: places in the batch, read row by row, of each window's tokens, `p s`.
            inside: which of them are its own, `p s`.
            inputs: those of `Bert.forward`.
        """
        hidden = rearrange(self.model.bert(**inputs), "b s w -> (b s) w")
        scores = self.model.head(hidden)[asked]
        return scores.masked_fill(~rearrange(inside, "p s -> p s 1"), -torch.inf)

    def forward(self, targets: Tensor, **given: Tensor) -> Tensor:
        """The sum over the windows of the mean of both ends' losses, as `1`.

        `targets` are the first and the last place of each answer, `p 2`.
        """
        scores = rearrange(self.scores(**given).float(), "p s e -> (p e) s")
        return class_loss(scores, targets.flatten())[None] / 2


class FoundAnswer(NamedTuple):
    """An answer, `context[start:end]`, or "" if the context has none.

    `margin` is the score of the best answer less that of none.
    """

    text: str
    start: int
    end: int
    margin: float

    @property
    def plain(self) -> str:
        """What scores compare."""
        return self.text


def answer_scores(rows: Sequence[Question], guesses: Sequence[str]) -> dict[str, float]:
    """The share of exact answers, and F1 of their words, as SQuAD counts them.

    By torchmetrics. Without an answer, an empty guess is right.
    """
    squad = metrics_library("torchmetrics.functional.text").squad
    told = [{"prediction_text": guess, "id": str(n)} for n, guess in enumerate(guesses)]
    truth = [
        {
            "answers": {
                "answer_start": [each.start for each in row.answers] or [0],
                "text": [each.text for each in row.answers] or [""],
            },
            "id": str(n),
        }
        for n, row in enumerate(rows)
    ]
    score = squad(told, truth)
    return {"f1": float(score["f1"]) / 100, "exact": float(score["exact_match"]) / 100}


class Answers(HeadedTask):
    """The part of a context that answers a question, or that there is none.

    Whether there may be none is its setting `unanswerable`: if the rows to train on
    have such questions, as those of SQuAD 2.0, or if the tuning says so. If not, the
    best span is the answer, as Google's script has it for SQuAD 1.1.
    """

    name = "answers"
    row = Question
    right = "answers"
    part = "answers"
    main = "f1"
    apart = "context"
    cells = (("answers", None),)  # a JSON object
    usual: ClassVar[Mapping[str, str]] = {
        "question": "query",
        "context": "passage paragraph document article text",
        "answers": "answer answer_text",
    }
    beside = ("answer_start", "is_impossible")
    settings = ("unanswerable",)
    metrics = staticmethod(answer_scores)
    majority = staticmethod(baselines.no_answer)
    bag_of_words = staticmethod(baselines.sentences_that_answer)
    reads_context = True

    def records(self, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Those of each question, where the record is an article of SQuAD's own JSON.

        Raises:
            ValueError: if it has not the form of one.
        """
        if "paragraphs" not in record:
            yield record
            return
        for paragraph in listed(record["paragraphs"], "paragraphs"):
            for asked in listed(field(paragraph, "qas"), "qas"):
                question, context = (
                    field(asked, "question"),
                    field(paragraph, "context"),
                )
                yield {**asked, "question": question, "context": context}

    def from_dict(self, mapping: Mapping[str, Any]) -> Question:
        """As SQuAD's: {"id", "question", "context", "answers"}.

        The answers may be a text or a list of texts, too. Where one begins stands in
        "answer_start", or is looked for, if it stands once in the context.
        """
        question, context = field(mapping, "question"), field(mapping, "context")
        answers, name = mapping.get("answers"), mapping.get("id")
        if str(mapping.get("is_impossible")).lower() in ("true", "1"):
            answers = ()
        if answers is not None:
            answers = _answers_in(answers, mapping.get("answer_start"), context)
        return Question(question, context, answers, "" if name is None else str(name))

    def from_cells(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A cell that does not begin as JSON does is the answer itself."""
        told = record.get("answers")
        plain = isinstance(told, str) and told[:1] not in ("{", "[")
        return dict(record) if plain else super().from_cells(record)

    def from_line(self, line: str, context: str | None = None) -> Question:
        if context is not None:
            return Question(line, context)
        return Question(*fields_of(line, 2, 2))

    def example(self, settings: Settings) -> str:
        return "Some question?"

    def faults(
        self, row: Question, labels: Labels | None, labelled: bool
    ) -> Iterator[str]:
        yield from text_faults(row.question, "the question")
        context = list(text_faults(row.context, "the context"))
        yield from context
        if not labelled:
            return
        if row.answers is None:
            none = "() if the context has none, or [] in a file"
            yield f"no answers; give them, with {none}"
        elif not isinstance(row.answers, tuple | list):
            given = type(row.answers).__name__
            yield f"answers are of type {given}; give a tuple of Answer"
        elif not context:
            for answer in row.answers:
                yield from _answer_faults(answer, row.context)

    def unlabelled(self, given: Any, settings: Settings) -> Question:
        if isinstance(given, Question):
            given = given.question, given.context
        if are_texts(given, 2) and given[1].strip():
            return Question(*given)
        raise ValueError("a question and its context, which is not empty")

    def key(self, row: Question) -> str:
        return row.context

    def truth(self, row: Question) -> str | None:
        if row.answers is None:
            return None
        return row.answers[0].text if row.answers else ""

    def features(
        self, rows: Sequence[Question], reading: FeatureSettings, labels: Labels = ()
    ) -> Iterator[Feature]:
        """The windows of each question: every place of a window is asked.

        Of several answers the first is taught. A window that does not hold it is taught
        to point to [CLS]: nothing is answered here.
        """
        length, stride = reading.length, reading.stride
        for row, (question, context, answers, _) in enumerate(rows):
            for window in windows(question, context, reading.tokenizer, length, stride):
                targets: list[int] = []
                if answers is not None:
                    targets = [0, 0]
                if answers:
                    start = answers[0].start
                    end = start + len(answers[0].text)
                    targets = [*answer_places(window, start, end)]
                places = list(range(len(window.first) + len(window.second)))
                yield Feature(
                    row, window.first, window.second, places, targets, window.places
                )

    def places(
        self, slots: Sequence[Slot], features: Sequence[Feature], length: int
    ) -> dict[str, Tensor]:
        sizes = torch.tensor([slot.end - slot.start for slot in slots])
        starts = torch.tensor([slot.row * length + slot.start for slot in slots])
        steps = torch.arange(int(sizes.max()))[None]
        inside = steps < sizes[:, None]
        return {
            "asked": (starts[:, None] + steps).where(inside, starts[:, None]),
            "inside": inside,
        }

    def targets(self, features: Sequence[Feature]) -> Tensor:
        """The first and the last place of each answer, `p 2`."""
        return torch.tensor([feature.targets for feature in features])

    def fit(self, rows: Sequence[Question], tuning: Any) -> Settings:
        wanted = tuning.unanswerable
        return {
            "unanswerable": any(row.answers == () for row in rows)
            if wanted is None
            else wanted
        }

    def complete(
        self, given: Settings, reading: FeatureSettings, labels: Labels
    ) -> Settings:
        settings = super().complete(given, reading, labels)
        # A model without the setting was saved when there was none.
        return {**settings, "unanswerable": settings["unanswerable"] is not False}

    def objective(self, model: Any, smoothing: float = 0, pool: str = "") -> nn.Module:
        return SpanObjective(model)

    def head(self, labels: Labels) -> dict[str, Any]:
        return {}

    def answers(
        self, rows: Sequence[Question], scored: Scored, fitted: Fitted
    ) -> list[FoundAnswer]:
        """The best answer of all windows, or none, if the rows to train on had such.

        None if the lowest score of none, over all windows, is above the answer's
        (google-research/bert run_squad.py, `write_predictions`).
        """
        best: list[tuple[float, int, int]] = [(-torch.inf, 0, 0)] * len(rows)
        none = [torch.inf] * len(rows)
        for feature, scores in scored:
            begin = len(feature.first)
            part = scores[0, begin : begin + len(feature.places)]
            first, last, total = best_span(*part.unbind(-1))
            none[feature.row] = min(none[feature.row], scores[0, 0].sum().item())
            if total > best[feature.row][0]:
                start, end = feature.places[first][0], feature.places[last][1]
                best[feature.row] = total, start, end
        answers = []
        for row, (total, start, end), empty in zip(rows, best, none, strict=True):
            margin = total - empty
            if margin < 0 and fitted.settings["unanswerable"]:
                start = end = 0
            answers.append(FoundAnswer(row.context[start:end], start, end, margin))
        return answers

    def shown(self, row: Question, answer: FoundAnswer) -> str:
        place = f" ({answer.start}–{answer.end})" if answer.text else ""
        return f"{answer.text or 'no answer'}{place}  {brief(row.question)}"

    def as_object(self, row: Question, answer: FoundAnswer) -> dict[str, Any]:
        """Its context is left out."""
        name = {"id": row.id} if row.id else {}
        about = {**name, "question": row.question, **answer._asdict()}
        about["answer"] = about.pop("text")
        return about


def _answers_in(told: Any, starts: Any, context: Any) -> tuple[Answer, ...] | None:
    """Of two lists as on the hub, of objects as in SQuAD's own files, or of texts.

    None if there is an empty text, and nothing says that there is no answer.
    """
    if isinstance(told, Mapping):
        told, starts = field(told, "text"), told.get("answer_start")
    elif isinstance(told, Sequence) and any(isinstance(each, Mapping) for each in told):
        texts = [field(each, "text") for each in told]
        told, starts = texts, [each.get("answer_start") for each in told]
    if isinstance(told, str):
        if not told.strip():
            return () if str(starts) == "-1" else None
        told, starts = [told], starts if isinstance(starts, list) else [starts]
    if not isinstance(told, Sequence):
        raise ValueError(
            f"'answers' is {told!r:.60}; give a text, a list of texts, or "
            '{"text": [...], "answer_start": [...]}, with [] for no answer'
        )
    starts = [None] * len(told) if starts is None else listed(starts, "answer_start")
    if len(told) != len(starts):
        raise ValueError(
            f"its answers have {len(told)} texts and {len(starts)} starts; give one "
            "start for each text"
        )
    return tuple(
        Answer(text, _start_of(text, start, context))
        for text, start in zip(told, starts, strict=True)
    )


def _start_of(text: Any, start: Any, context: Any) -> Any:
    """Where an answer begins: as it is told, perhaps in a cell, or where it stands."""
    if start not in (None, ""):
        with suppress(ValueError, TypeError):  # `faults` says what is wrong with it
            if float(start).is_integer() and not isinstance(start, bool):
                return int(float(start))
        return start
    if not isinstance(text, str) or not isinstance(context, str) or not text:
        return 0  # nowhere; `faults` says why
    first = context.find(text)
    if (again := context.find(text, first + 1)) >= 0 <= first:
        raise ValueError(
            f"the answer {text!r:.60} stands at {first} and at {again} of the context; "
            "say which it is with a field answer_start"
        )
    return max(0, first)


def _answer_faults(answer: Any, context: str) -> Iterator[str]:
    if not isinstance(answer, Answer) or type(answer.start) is not int:
        yield (
            f"the answer {answer!r:.80} is none; give Answer(text, start), text and a "
            "whole number"
        )
        return
    faults = list(text_faults(answer.text, "an answer"))
    yield from faults
    text, start = answer
    if faults or (start >= 0 and context.startswith(text, start)):
        return
    where = context.find(text)
    remedy = f"it stands at {where}" if where >= 0 else "it stands nowhere in it"
    yield f"the answer {text!r:.60} is not at {start} of the context; {remedy}"


class Window(NamedTuple):
    """`[CLS] question [SEP]` and a part of the context with its `[SEP]`.

    Between the two stand as many [SEP] as the tokenizer says: RoBERTa has two.

    `places` says of each piece of that part which characters of the context it is:
    `context[start:end]`. `reach` are the characters of which no other piece is needed:
    from the end of the piece before the part to the start of the one after it.
    """

    first: list[int]
    second: list[int]
    places: list[tuple[int, int]]
    reach: tuple[int, int]


def windows(
    question: str,
    context: str,
    tokenizer: AnyTokenizer,
    length: int,
    stride: int | None = None,
) -> list[Window]:
    """A question with each part of its context.

    Args:
        question: of more than 64 pieces, the first 64 are kept.
        context: of any length.
        tokenizer: that of the model.
        length: the most pieces of a window, special tokens included.
        stride: how many pieces further on the next part begins; None is half a part.

    Raises:
        ValueError: if the context has no pieces, or there is no room for it.
    """
    query = tokenizer.encode(question)[1:-1][:LONGEST_QUESTION]
    first = [tokenizer.cls_id, *query, *[tokenizer.sep_id] * tokenizer.separators]
    pieces = tokenizer.pieces(context)
    room = length - len(first) - 1
    if not pieces:
        raise ValueError(f"the context {context[:40]!r} has no pieces; give a text")
    if room < 1:
        raise ValueError(
            f"length={length} leaves no room for a context beside a question of "
            f"{len(query)} pieces; give {len(first) + 2} or more"
        )
    places = _places(pieces, context)
    # What stands between two pieces, such as a space, belongs to the reach of both.
    borders = [(0, 0), *places, (len(context), len(context))]
    parts = []
    for start, end in window_spans(len(pieces), room, stride):
        ids = [piece.id for piece in pieces[start:end]] + [tokenizer.sep_id]
        reach = borders[start][1], borders[end + 1][0]
        parts.append(Window(first, ids, places[start:end], reach))
    return parts


def _places(pieces: list[Piece], context: str) -> list[tuple[int, int]]:
    """What each piece stands for, with the accents behind it that encoding drops."""
    places = []
    for piece, after in zip_longest(pieces, pieces[1:]):
        end, most = piece.end, after.start if after else len(context)
        while end < most and category(context[end]) == "Mn":
            end += 1
        places.append((piece.start, end))
    return places


def answer_places(window: Window, start: int, end: int) -> tuple[int, int]:
    """Where an answer, `context[start:end]`, begins and ends in a window.

    Returns:
        The places of its first and last piece, or 0 and 0, which is [CLS], if the
        answer is not whole in this window.
    """
    if start < window.reach[0] or end > window.reach[1]:
        return 0, 0
    touched = [n for n, (a, b) in enumerate(window.places) if a < end and b > start]
    if not touched:
        return 0, 0
    return len(window.first) + touched[0], len(window.first) + touched[-1]


class Span(NamedTuple):
    """First and last piece of a part of the context, from 0, and its score."""

    first: int
    last: int
    score: float


def best_span(start: Tensor, end: Tensor, longest: int = LONGEST_ANSWER) -> Span:
    """The pair of places with the highest sum of scores, the end not before the start.

    Args:
        start, end: the scores of a window's part of the context, `s` each.
        longest: the most pieces of an answer.
    """
    scores = start[:, None] + end[None, :]
    allowed = torch.ones_like(scores, dtype=torch.bool).triu().tril(longest - 1)
    best = int(scores.masked_fill(~allowed, -torch.inf).argmax())
    first, last = divmod(best, len(end))
    return Span(first, last, float(scores[first, last]))
