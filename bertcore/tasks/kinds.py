"""Kinds: the model, objective, features, answers and scores of each kind of task.

Features stand packed in rows, so each objective is told the positions that it reads. A
head is one linear layer; only writing has a decoder (chapter 10).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bertcore.model.bert import (
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from bertcore.model.encoder_decoder import EncoderDecoder
from bertcore.model.variants.families import FAMILIES, Family
from bertcore.model.weights import Pretrained
from bertcore.tasks.answers import (
    FoundAnswer,
    SpanObjective,
    answer_scores,
    decode_answers,
    ends,
    question_features,
    span_places,
)
from bertcore.tasks.classification import (
    Prediction,
    TextObjective,
    class_scores,
    classes,
    decode_classes,
    decode_numbers,
    number_scores,
    numbers,
    text_features,
    text_of_row,
    text_places,
)
from bertcore.tasks.rows import Question, Source, TaskSet, Words, checked_kind
from bertcore.tasks.tagging import (
    TaggedWords,
    TokenObjective,
    decode_tags,
    tag_scores,
    token_places,
    word_features,
)
from bertcore.tasks.task import (
    Feature,
    FeatureSettings,
    Scored,
    an,
    are_texts,
    class_loss,
    number_loss,
    reading_at,
    row_error,
    text_sizes,
)
from bertcore.tasks.writing import (
    WritingObjective,
    WrittenTarget,
    next_tokens,
    writing_features,
    writing_inputs,
    writing_sizes,
    written_scores,
)
from bertcore.text.batch import TrainingBatch

FEATURES: dict[str, Callable[..., Iterator[Feature]]] = {
    "classification": text_features,
    "regression": text_features,
    "tagging": word_features,
    "answers": question_features,
    "writing": writing_features,
}
_DECODE: dict[str, Callable[..., list[Any]]] = {
    "classification": decode_classes,
    "regression": decode_numbers,
    "tagging": decode_tags,
    "answers": decode_answers,
}
# The score that says which of two models is the better one.
MAIN = {
    "classification": "accuracy",
    "regression": "spearman",
    "tagging": "f1",
    "answers": "f1",
    "writing": "chrf",
}
_SCORES: dict[str, Callable[..., dict[str, float]]] = {
    "classification": class_scores,
    "regression": number_scores,
    "tagging": tag_scores,
    "answers": answer_scores,
    "writing": written_scores,
}
# Where a row says what is right.
_TRUTH = {
    "classification": 1,
    "regression": 1,
    "tagging": 1,
    "answers": 2,
    "writing": 1,
}


class TaskKind(NamedTuple):
    """What a kind of task takes: a model, its objective, and what that is given.

    `model` is BERT's, and `part` names that of other families in `Family`; "" if there
    is none. `asked` makes the arguments of its `scores` of features and the id of
    padding, `targets` what is right there; `sizes` are their tokens, as in
    `TrainingBatch`.
    """

    model: type[Pretrained]
    part: str
    objective: Callable[[Any], nn.Module]
    asked: Callable[[Sequence[Feature], int], dict[str, Tensor]]
    targets: Callable[[Sequence[Feature]], Tensor] = classes
    sizes: Callable[[Sequence[Feature]], Tensor] = text_sizes

    def model_of(self, family: Family) -> type[Pretrained]:
        """The class of a family that does this; of a kind without any, BERT's."""
        return getattr(family, self.part) if self.part else self.model


TASK_KINDS = {
    "classification": TaskKind(
        BertForSequenceClassification,
        "classification",
        lambda model: TextObjective(model, class_loss),
        reading_at(text_places),
    ),
    "regression": TaskKind(
        BertForSequenceClassification,
        "classification",
        lambda model: TextObjective(model, number_loss),
        reading_at(text_places),
        numbers,
    ),
    "tagging": TaskKind(
        BertForTokenClassification, "tagging", TokenObjective, reading_at(token_places)
    ),
    "answers": TaskKind(
        BertForQuestionAnswering,
        "answers",
        SpanObjective,
        reading_at(span_places),
        ends,
    ),
    "writing": TaskKind(
        *(EncoderDecoder, "", WritingObjective, writing_inputs, next_tokens),
        writing_sizes,
    ),
}


def task_kind(kind: str) -> TaskKind:
    """That of a name.

    Raises:
        ValueError: if there is none.
    """
    if kind not in TASK_KINDS:
        raise ValueError(f"no kind of task {kind!r}; there are {', '.join(TASK_KINDS)}")
    return TASK_KINDS[kind]


def checked_model(kind: str, model: Pretrained) -> Pretrained:
    """The model itself.

    Raises:
        ValueError: if there is no such kind, or it takes another model.
    """
    found = task_kind(kind)
    wanted, family = found.model, FAMILIES.get(model.config.published.model_type)
    fitting = wanted if family is None else found.model_of(family)
    if not isinstance(model, wanted | fitting):
        wanted = fitting
        raise ValueError(f"{an(type(model))} cannot do {kind!r}; give {an(wanted)}")
    return model


def objective_inputs(
    kind: str, features: Sequence[Feature], pad_id: int
) -> dict[str, Tensor]:
    """Features, packed: what the `scores` of an objective takes.

    Args:
        kind: of the task.
        features: one at least; for writing, with their targets.
        pad_id: fills up the rows.
    """
    return task_kind(kind).asked(features, pad_id)


def task_batch(kind: str, features: Sequence[Feature], pad_id: int) -> TrainingBatch:
    """Features with their targets, as the engine takes them.

    Args:
        kind, features, pad_id: as for `objective_inputs`.
    """
    found = task_kind(kind)
    targets = found.targets(features)
    return TrainingBatch(
        {**found.asked(features, pad_id), "targets": targets},
        torch.tensor([len(targets)]),
        found.sizes(features),
    )


def features_of(
    kind: str,
    rows: Sequence[Any],
    reading: FeatureSettings,
    labels: Sequence[str] = (),
    number: int = 0,
) -> list[Feature]:
    """The features of rows, in order.

    Args:
        kind: of the task.
        rows: of this kind.
        reading: how.
        labels: the classes or tags, in the order of the model's scores.
        number: of the first row, for errors.

    Raises:
        ValueError: naming the row that cannot be read.
    """
    found: list[Feature] = []
    try:
        found.extend(FEATURES[kind](rows, reading, labels))
    except ValueError as error:
        place = number + (found[-1].row + 1 if found else 0)  # each row has one
        raise ValueError(f"row {place}: {error}") from error
    return found


def plain_row(kind: str, number: int, row: Any, pairs: bool | None = None) -> Any:
    """A row as the task reads it, without what is right.

    Args:
        kind: of the task.
        number: of the row, to name it.
        row: see `Predictor.predict`.
        pairs: whether texts must be pairs, or must not; None takes both.

    Raises:
        ValueError: naming the row and what it should be.
    """
    if kind in ("classification", "regression"):
        return text_of_row(number, row, pairs)
    if kind == "tagging":
        words = row.split() if isinstance(row, str) else row
        words = words.words if isinstance(words, Words) else words
        if are_texts(words) and len(words):
            return Words(tuple(words))
        raise row_error(
            number, row, "a list of words, or a text with one word at least"
        )
    if kind == "writing":
        text = row.text if isinstance(row, Source) else row
        if isinstance(text, str):
            return Source(text)
        raise row_error(number, row, "a text")
    if isinstance(row, Question):
        row = row.question, row.context
    if are_texts(row, 2) and row[1].strip():
        return Question(*row)
    raise row_error(number, row, "a question and its context, which is not empty")


def decoded(
    kind: str, rows: Sequence[Any], scored: Scored, labels: Sequence[str]
) -> list[Any]:
    """An answer for each row.

    Args:
        kind: of a task whose answers are read from scores: any but writing.
        rows: as `plain_row` gives them.
        scored: their features in order, each with its scores: `1 c` of a text, `t c` of
            words, `1 s 2` of a window.
        labels: in the order of the scores.
    """
    return _DECODE[kind](rows, scored, tuple(labels))


def plain(predictions: Sequence[Any]) -> list[Any]:
    """What scores compare: the label of a `Prediction`, tags, the text of an answer."""
    shown = {
        Prediction: "label",
        TaggedWords: "tags",
        FoundAnswer: "text",
        WrittenTarget: "text",
    }
    return [getattr(p, shown[type(p)]) if type(p) in shown else p for p in predictions]


def score(kind: str, rows: Sequence[Any], guesses: Sequence[Any]) -> dict[str, float]:
    """The scores of a kind of task; `MAIN` says which decides.

    They are 0 to 1, but correlations -1 to 1, and a rate of errors 0 or more.

    Args:
        kind: of the task.
        rows: with what is right.
        guesses: a class, a number, tags, an answer or a text for each row.

    Raises:
        ValueError: if there is no such kind, if there is not one guess a row, or a
            row lacks what is right.
        FileNotFoundError: if the library that counts is not installed.
    """
    checked_kind(kind)
    if len(rows) != len(guesses) or not rows:
        raise ValueError(
            f"{len(guesses)} guesses for {len(rows)} rows; give each row its guess, "
            "and one row at least"
        )
    for number, row in enumerate(rows):
        if row[_TRUTH[kind]] is None:
            raise ValueError(f"row {number} does not say what is right; leave it out")
    return _SCORES[kind](rows, guesses)


def check_scores(data: TaskSet) -> None:
    """Count once before the long work, so that a missing library shows at once.

    Raises:
        FileNotFoundError: naming the library.
    """
    for row in (*data.valid, *data.test)[:1]:
        guesses = {"tagging": "tags", "answers": "question", "writing": "target"}
        score(data.kind, [row], [getattr(row, guesses.get(data.kind, "label"))])
