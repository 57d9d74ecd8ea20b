"""Answering: a fine-tuned model's answers and scores, as a user reads them.

Also how lines of text or JSON become rows, what `bertcore fill-mask` prints, and
whether probabilities hold and how well they rank rows. Where a class is rare, accuracy
says little: its average precision says how far up its rows stand when all are sorted by
its probability; the calibration error, how far probabilities are from the share of rows
in which they come true (chapter 10b).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
import torch

from bertcore.command import MASK, say
from bertcore.command.options import flag_of
from bertcore.files import SENTENCES, TABLES, ending_of, new_file, open_text
from bertcore.model.variants.families import masked_lm_of
from bertcore.sources import Absent, many, needs
from bertcore.tasks import KINDS, plain
from bertcore.tasks.loading import read_test, records_in
from bertcore.tasks.rows import Labels, Row
from bertcore.tasks.task import Task, metrics_library
from bertcore.training.devices import find_device
from bertcore.training.finetuning import scores_in_words
from bertcore.training.predictor import TASK, Predictor
from bertcore.training.run import RUN, load_trained

GROUP = 256  # lines that are answered together, if so many are there
_CHUNK = 1 << 16  # bytes read at a time
_MANY = 100  # test rows: then chance moves a share of right answers by less than .1
BINS = 10  # of equal width, from 0 to 1
FORMATS = (".png", ".svg", ".pdf")
# Told apart also by colour-blind readers.
_COLOURS = "#2f7fd0", "#c96a00", "#14946b", "#d1477a", "#a35bc7", "#7d7d7d"


class Probabilities(NamedTuple):
    """What a model gave each label of each row, and what is right, `n c` each.

    `stated` are the probabilities that are held against `right`: of classes those of
    the likeliest one, `n`, of labels that each stand alone all of them, `n c`.
    """

    labels: Labels
    shares: np.ndarray
    truth: np.ndarray
    stated: np.ndarray
    right: np.ndarray

    @classmethod
    def of(
        cls, task: Task, rows: Sequence[Any], answers: Sequence[Any], labels: Labels
    ) -> Self | None:
        """Those of a `Predictor`'s answers to rows that say what is right.

        None if the answers have no probability of each label.
        """
        if not isinstance(getattr(answers[0], "probabilities", None), dict):
            return None
        told = [[answer.probabilities[label] for label in labels] for answer in answers]
        held = [task.truth(row) for row in rows]
        several = isinstance(held[0], tuple)
        shares = np.array(told)
        truth = np.array(
            [[label in (h if several else (h,)) for label in labels] for h in held]
        )
        if several:
            return cls(labels, shares, truth, shares, truth)
        likeliest = shares.argmax(1)[:, None]
        stated = np.take_along_axis(shares, likeliest, 1)
        right = np.take_along_axis(truth, likeliest, 1)
        return cls(labels, shares, truth, stated[:, 0], right[:, 0])

    def average_precision(self) -> dict[str, float]:
        """By scikit-learn, for each label that a row has."""
        metrics = metrics_library("sklearn.metrics")
        return {
            label: float(metrics.average_precision_score(truth, shares))
            for label, truth, shares in self._columns()
        }

    def reliability(self) -> np.ndarray:
        """For each bin that is not empty: stated and right on average, how many, `k 3`.

        A probability on the border of two bins counts in the higher one.
        """
        stated, right = self.stated.ravel(), self.right.ravel()
        bins = np.minimum((stated * BINS).astype(int), BINS - 1)
        counts = np.bincount(bins, minlength=BINS)
        sums = [np.bincount(bins, each, minlength=BINS) for each in (stated, right)]
        used = counts > 0
        return np.stack(
            [*(each[used] / counts[used] for each in sums), counts[used]], 1
        )

    def error(self) -> float:
        """The expected calibration error: of all bins, weighed by their rows.

        Guo et al. 2017, equation 3.
        """
        stated, right, counts = self.reliability().T
        return float((counts * np.abs(stated - right)).sum() / counts.sum())

    def __str__(self) -> str:
        what = "each label is" if self.stated.ndim > 1 else "the likeliest class is"
        return (
            f"{what} given {self.stated.mean():.1%} on average, and it is right in "
            f"{self.right.mean():.1%}; expected calibration error {self.error():.3f} "
            f"({BINS} bins)"
        )

    def draw(self, path: Path) -> None:
        """A picture: precision and recall at each threshold, and the bins.

        Of more than six labels the rarest are drawn.

        Raises:
            FileNotFoundError: if matplotlib is not installed.
        """
        figures = needs("matplotlib.figure", "a picture")
        metrics = metrics_library("sklearn.metrics")
        figure = figures.Figure(figsize=(9, 4), layout="constrained", dpi=150)
        curves, bins = figure.subplots(1, 2)
        rarest = sorted(self._columns(), key=lambda each: each[1].sum())
        for colour, (label, truth, shares) in zip(_COLOURS, rarest, strict=False):
            precision, recall, _ = metrics.precision_recall_curve(truth, shares)
            name = f"{label} ({truth.mean():.1%} of rows)"
            curves.plot(recall, precision, color=colour, label=name)
        curves.set(xlabel="recall", ylabel="precision", title="At every threshold")
        curves.legend(frameon=False)
        stated, right, counts = self.reliability().T
        bins.plot([0, 1], [0, 1], color=_COLOURS[-1], linestyle=":", label="as stated")
        # The larger a point, the more rows stand behind it.
        sizes = 20 + 180 * counts / counts.max()
        bins.plot(stated, right, color=_COLOURS[0])
        bins.scatter(stated, right, s=sizes, color=_COLOURS[0], label="this model")
        bins.set(xlabel="stated probability", ylabel="share that is right")
        bins.set_title(f"Expected calibration error {self.error():.3f}")
        bins.legend(frameon=False)
        for axes in (curves, bins):
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
            axes.spines[["top", "right"]].set_visible(False)
        with new_file(path) as partial:
            figure.savefig(partial, format=path.suffix[1:].lower())

    def _columns(self) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Label, truth and shares of each that a row has: others rank nothing."""
        columns = zip(self.labels, self.truth.T, self.shares.T, strict=True)
        return [each for each in columns if each[1].any()]


def check_picture(path: Path) -> None:
    """Before the long work: ValueError for a form that is not drawn.

    Raises:
        FileNotFoundError: if matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(
            f"{path} is no picture that can be drawn; give a name that ends in "
            f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        )
    needs("matplotlib.figure", "a picture")


# Answers -----------------------------------------------------------------------------


def predictor_of(name: str) -> Predictor:
    """A fine-tuned model, where it is fastest.

    Raises:
        FileNotFoundError: if there is none of that name.
    """
    try:
        predictor = Predictor.from_pretrained(name)
    except Absent as error:
        start = f"--model {name} " if (Path(name).expanduser() / RUN).is_file() else ""
        raise FileNotFoundError(
            f"{name} is not fine-tuned: it has no {TASK}; make a model that is: "
            f"bertcore finetune TASK {start}--out FOLDER"
        ) from error
    predictor.model.to(find_device())
    return predictor


def ask_to_write(predictor: Predictor, wishes: Mapping[str, Any]) -> None:
    """Change how a model writes, by fields of its `Search`.

    Raises:
        ValueError: if the model does not write, or the wishes make no sense.
    """
    if wishes and "search" not in predictor.settings:
        options = ", ".join(map(flag_of, wishes))
        raise ValueError(
            f"a model for {predictor.kind} writes nothing; leave {options} out"
        )
    if wishes:
        search = predictor.settings["search"].replace(**wishes)
        predictor.settings = {**predictor.settings, "search": search}


class Line(NamedTuple):
    """A line or a row, and what to call it in a message: "line 17", "text 1"."""

    place: str
    content: bytes | dict[str, Any]


class Form(NamedTuple):
    """How a line is read.

    `objects` says whether it is a JSON object; None: if it begins with a brace.
    `context` is that of all questions. `columns` are those of fields, as `Columns`
    calls them; `known` are taken if they are there.
    """

    task: Task
    objects: bool | None
    context: str | None = None
    columns: Mapping[str, str] = {}
    known: Mapping[str, str] = {}


def answers(
    predictor: Predictor, groups: Iterable[list[Line]], form: Form, skip: bool
) -> Iterator[tuple[Row, Any]]:
    """Each row with its answer; a group at a time.

    With `skip` what cannot be used is said on stderr, and the others are answered.

    Raises:
        ValueError: at the first line that cannot be used, after the answers before it.
    """
    for group in groups:
        fault: ValueError | None = None
        rows: list[Row] = []
        places: list[str] = []
        for line in group:
            try:
                rows.append(row_of(line, form))
                places.append(line.place)
            except ValueError as error:
                if not skip:
                    fault = error
                    break
                say(f"bertcore: {error}", error=True)
        try:
            found = predictor.predict(rows)
        except ValueError:
            # The model cannot read all of them: one by one, to say of which.
            for row, place in zip(rows, places, strict=True):
                try:
                    yield row, predictor.predict([row])[0]
                except ValueError as error:
                    if not skip:
                        raise ValueError(f"{place}: {error}") from error
                    say(f"bertcore: {place}: {error}", error=True)
        else:
            yield from zip(rows, found, strict=True)
        if fault is not None:
            raise fault


def scored(
    name: str,
    task: str,
    on_fault: str,
    columns: Mapping[str, str],
    encoding: str | None,
    picture: Path | None = None,
) -> Iterator[str]:
    """The scores of a model on the test rows of a set, in lines, and as a picture."""
    if picture is not None:
        check_picture(picture)
    predictor = predictor_of(name)
    known = predictor.settings.get("columns", {})
    data, faults, note = read_test(
        task, predictor.kind, predictor.labels, on_fault, columns, encoding, known
    )
    predictor.task.check_scores(data.test)
    notes = [*note.splitlines(), *(f"left out: {fault}" for fault in faults)]
    for each in filter(None, [*notes, doubt(len(data.test))]):
        say(f"bertcore: {each}", error=True)
    answers = predictor.predict(data.test)
    guesses, labels = plain(answers), predictor.labels
    found = predictor.task.score(data.test, guesses)
    rows = f"{many(len(data.test), 'test row')} of {data.name}"
    yield f"{name} on {rows}: {scores_in_words(found)}"
    shares = Probabilities.of(predictor.task, data.test, answers, labels)
    ranked = {} if shares is None else shares.average_precision()
    for label, each in predictor.task.details(data.test, guesses, labels).items():
        if label in ranked:
            each = {**each, "average_precision": ranked[label]}
        yield f"  {label}: {scores_in_words(each)}"
    if shares is not None:
        yield f"  {shares}"
    if picture is not None:
        yield _drawn(picture, shares, predictor.kind)


def _drawn(picture: Path, shares: Probabilities | None, kind: str) -> str:
    if shares is None:
        raise ValueError(
            f"a model for {kind} gives no probability of each label, so there is "
            "nothing to draw; leave --picture out"
        )
    shares.draw(picture)
    return f"{picture} shows precision and recall, and how far probabilities hold"


def doubt(count: int) -> str:
    """How far chance moves scores on so many rows; "" if it is little.

    A share of right answers has a standard error of at most half of 1 / sqrt(count).
    """
    if not 0 < count < _MANY:
        return ""
    return (
        f"only {many(count, 'test row')}: a share of right answers may be off by ± "
        f"{0.98 / count**0.5:.2f} by chance alone (in 19 of 20 cases at most)"
    )


def said(task: Task, row: Row, answer: Any, as_object: bool) -> str:
    """An answer in a line: to read, or as a JSON object."""
    if as_object:
        return json.dumps(task.as_object(row, answer), ensure_ascii=False)
    return task.shown(row, answer)


def groups_in(
    path: Path, task: Task, encoding: str | None = None
) -> Iterator[list[Line]]:
    """The lines of a file, perhaps compressed, or the rows of a table, in groups.

    Raises:
        FileNotFoundError: if it is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; check the path")
    ending = ending_of(path)
    sentences = task.sentences and ending in SENTENCES and ending != ".txt"
    if sentences or ending in (".json", *TABLES):
        rows = (
            Line(place, each)
            for place, record in records_in(path, task, encoding)
            for each in task.records(record)
        )
    else:
        rows = _lines(path, encoding)
    while group := list(islice(rows, GROUP)):
        yield group


def _lines(path: Path, encoding: str | None) -> Iterator[Line]:
    """The lines of a text file that are not blank.

    Bytes that are not UTF-8 stay as they are: each such line is a fault of its own.
    """
    errors = "strict" if encoding else "surrogateescape"
    with open_text(path, "\n", encoding or "utf-8", errors) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                content = line.encode("utf8", errors)
                yield Line(f"{path}, line {number}", content)


def arriving(stream: BinaryIO) -> Iterator[list[Line]]:
    """The lines of a stream in groups: those that are there, without waiting for more.

    A blank line is passed over, and counted.
    """
    before, rest, chunk = 0, b"", b"begin"
    while chunk:
        chunk = stream.read1(_CHUNK)
        *whole, rest = (rest + chunk).split(b"\n")
        if not chunk and rest:
            whole = [rest]
        group: list[Line] = []
        for number, content in enumerate(whole, before + 1):
            if number == 1:
                content = content.removeprefix(b"\xef\xbb\xbf")  # a byte order mark
            if content.strip():
                group.append(Line(f"line {number}", content))
        before += len(whole)
        for start in range(0, len(group), GROUP):
            yield group[start : start + GROUP]


def texts_given(texts: Iterable[str]) -> list[Line]:
    """The texts of a command line."""
    return [
        Line(f"text {number}", text.encode("utf8", "surrogateescape"))
        for number, text in enumerate(texts, 1)
    ]


def row_of(line: Line, form: Form) -> Row:
    """The row that stands in a line.

    Raises:
        ValueError: naming the line, what is wrong with it, and what it should be.
    """
    try:
        row = _row_in(line.content, form)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(
            f"{line.place} is not UTF-8: its byte {error.start} is 0x{byte:02x}; save "
            "it as UTF-8, or give a --file with its --encoding, such as cp1252"
        ) from error
    except ValueError as error:
        raise ValueError(f"{line.place}: {error}") from error
    _, faults = form.task.sound_rows([row], None, "skip", False, [line.place])
    if faults:
        raise ValueError(faults[0])
    return row


def _row_in(content: bytes | dict[str, Any], form: Form) -> Row:
    record: Any = content
    if isinstance(content, bytes):
        text = content.decode("utf8").strip("\r\n")
        brace = text.lstrip().startswith("{")
        if not (brace if form.objects is None else form.objects):
            try:
                return form.task.from_line(text, form.context)
            except ValueError as error:
                what = KINDS.lines[form.task.name].replace("\n", ", ")
                raise ValueError(f"{error}; give {what}") from error
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"no JSON ({error}); a line is one object") from error
        if not isinstance(record, dict):
            raise ValueError(f"a {type(record).__name__}; give an object")
    if form.context is not None:
        record = {**record, "context": form.context}
    task, known = form.task, {o: n for o, n in form.known.items() if n in record}
    columns = task.columns(list(record), {**known, **form.columns}, labelled=False)
    columns.pop(task.right, None)  # anything: nobody looks
    record = {field: record[name] for field, name in columns.items()}
    return task.from_dict(task.from_cells(record))


def guesses(text: str, name: str, top: int) -> Iterator[list[tuple[str, float]]]:
    """For each mask of a text the likeliest pieces with their probabilities.

    The text has [MASK], or what the model itself calls it, once or more often.

    Raises:
        ValueError: if there is no mask, or the text is too long for the model.
    """
    model, tokenizer, *_ = load_trained(name)
    model = masked_lm_of(model)
    own = tokenizer.vocabulary[tokenizer.mask_id]  # RoBERTa's is <mask>
    if MASK not in text and own not in text:
        raise ValueError(f"no {MASK} in {text!r}; write {MASK} for the piece to guess")
    batch = tokenizer(text.replace(MASK, own), parse_special=True)
    length = batch["input_ids"].shape[1]
    if length > model.config.max_positions:
        raise ValueError(
            f"the text has {length} tokens, and the model {model.config.max_positions} "
            "positions; give a shorter one"
        )
    with torch.no_grad():
        logits = model(**batch)
    logits = logits[0] if isinstance(logits, tuple) else logits
    hidden = batch["input_ids"][0] == tokenizer.mask_id
    for row in logits[0, hidden, : len(tokenizer)].softmax(-1):
        shares, ids = row.topk(min(top, len(tokenizer)))
        pieces = [tokenizer.vocabulary[id] for id in ids.tolist()]
        yield list(zip(pieces, shares.tolist(), strict=True))
