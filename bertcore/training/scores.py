"""Scores: how good predictions are, by the field's usual libraries (chapter 10)."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from bertcore.text.characters import split_words
from bertcore.text.rows import Question, Source, Text, Words, checked_kind

# The score that says which of two models is the better one.
MAIN = {
    "classification": "accuracy",
    "regression": "spearman",
    "tagging": "f1",
    "answers": "f1",
    "writing": "chrf",
}
_INSTALL = {"sklearn": "scikit-learn", "scipy": "scipy"}


def class_scores(rows: Sequence[Text], guesses: Sequence[str]) -> dict[str, float]:
    """Accuracy, and F1 as the mean over the classes, by scikit-learn."""
    metrics = _library("sklearn.metrics")
    truth, guesses = [row.label for row in rows], list(guesses)
    return {
        "accuracy": float(metrics.accuracy_score(truth, guesses)),
        "macro_f1": float(
            metrics.f1_score(truth, guesses, average="macro", zero_division=0)
        ),
    }


def number_scores(rows: Sequence[Text], guesses: Sequence[float]) -> dict[str, float]:
    """Correlations by scipy: Spearman's of the ranks, Pearson's of the numbers.

    If all guesses are the same, nothing correlates: 0.
    """
    stats = _library("scipy.stats")
    truth, guesses = [float(row.label) for row in rows], list(guesses)
    if len(set(guesses)) < 2 or len(set(truth)) < 2:
        return {"spearman": 0.0, "pearson": 0.0}
    return {
        "spearman": float(stats.spearmanr(truth, guesses).statistic),
        "pearson": float(stats.pearsonr(truth, guesses).statistic),
    }


def tag_scores(
    rows: Sequence[Words], guesses: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Precision, recall and F1 of whole entities, by nervaluate; accuracy of tags.

    An entity counts if its first word, its last and its type are right: nervaluate's
    "strict", which is how CoNLL's shared tasks count.
    """
    evaluator = _library("nervaluate.evaluator").Evaluator
    truth, found = [list(row.tags) for row in rows], [list(each) for each in guesses]
    types = sorted({tag[2:] for tags in truth + found for tag in tags if tag != "O"})
    for number, (tags, row) in enumerate(zip(found, rows, strict=True)):
        if len(tags) != len(row.words):
            raise ValueError(
                f"row {number}: {len(tags)} tags guessed for {len(row.words)} words; "
                "give each word its tag"
            )
    pairs = [
        p for t, f in zip(truth, found, strict=True) for p in zip(t, f, strict=True)
    ]
    accuracy = sum(t == f for t, f in pairs) / max(1, len(pairs))
    if not types:
        return {"f1": 0.0, "precision": 0.0, "recall": 0.0, "accuracy": accuracy}
    result = evaluator(truth, found, types, loader="list").evaluate()
    strict = result["overall"]["strict"]
    return {
        "f1": float(strict.f1),
        "precision": float(strict.precision),
        "recall": float(strict.recall),
        "accuracy": accuracy,
    }


def answer_scores(rows: Sequence[Question], guesses: Sequence[str]) -> dict[str, float]:
    """The share of exact answers, and F1 of their words, as SQuAD counts them.

    By torchmetrics. Without an answer, an empty guess is right.
    """
    squad = _library("torchmetrics.functional.text").squad
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
    found = squad(told, truth)
    return {"f1": float(found["f1"]) / 100, "exact": float(found["exact_match"]) / 100}


def written_scores(rows: Sequence[Source], guesses: Sequence[str]) -> dict[str, float]:
    """How near the texts that were written are to those wanted; one may be empty.

    They are compared as uncased BERT splits words: in small letters, without accents,
    punctuation apart; what such a model cannot write costs nothing. `exact` is the
    share of rows without a fault. `chrf`, by sacrebleu, is an F-score of runs of one to
    six characters (Popović 2015, *chrF*); in the one that torchmetrics 1.9 has,
    a guess with nothing right costs no recall. `word_error_rate`, by torchmetrics,
    counts words too many, missing or wrong, by the words that are wanted: 0 is best,
    and it may exceed 1. For sounds a word is a phoneme, so this is the phoneme error
    rate.
    """
    errors = _library("torchmetrics.functional.text").word_error_rate
    chrf = _library("sacrebleu").corpus_chrf
    truth = [" ".join(split_words(row.target, lowercase=True)) for row in rows]
    found = [" ".join(split_words(guess, lowercase=True)) for guess in guesses]
    same = sum(a == b for a, b in zip(found, truth, strict=True))
    return {
        "chrf": chrf(found, [truth]).score / 100,
        "exact": same / len(rows),
        "word_error_rate": float(errors(found, truth)),
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


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        first = name.partition(".")[0]
        raise FileNotFoundError(
            f"{first} counts here and is not installed; run: "
            f"pip install {_INSTALL.get(first, first)}"
        ) from error
