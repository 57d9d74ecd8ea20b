"""Lessons: what a teacher says of each row, asked once (chapter 8)."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.inference import evaluation
from bertcore.model.readout import states_at
from bertcore.text.features import Feature, features_of
from bertcore.text.rows import TaskSet
from bertcore.training.objective import Work
from bertcore.training.predict import Predictor, batches
from bertcore.training.tasks import asked_of
from bertcore.training.taskworks import TaskWorks


class Lesson(NamedTuple):
    """What a teacher says of a row: scores `a c`, and the states behind them, `a w`.

    `a` is 1 for a text, and as many as there are words for tagging.
    """

    scores: Tensor
    states: Tensor | None = None


Says = Callable[[Sequence[Any]], Sequence[Any]]
Teacher = Predictor | Says | Sequence[Lesson]


def ask(
    teacher: Teacher, rows: Sequence[Any], data: TaskSet, states: bool = True
) -> list[Lesson]:
    """What a teacher says of each row, without dropout and without gradients.

    Args:
        teacher: a `Predictor` of the same task; or a function from a list of rows to
            the scores of each, which has no states; or lessons, which are checked.
        rows: of the task; their labels are not looked at.
        data: the task, with its labels.
        states: whether the states are wanted.

    Raises:
        ValueError: if the teacher has another task, other labels, or no states.
    """
    if isinstance(teacher, Predictor):
        _check_teacher(teacher, data)
        lessons = _asked(teacher, rows)
    elif callable(teacher):
        lessons = [_lesson(scores) for scores in teacher(rows)]
    else:
        lessons = list(teacher)
    if len(lessons) != len(rows):
        raise ValueError(
            f"the teacher says something of {len(lessons)} rows, but there are "
            f"{len(rows)}; it is asked about the rows to train on and the unlabelled"
        )
    for row, lesson in enumerate(lessons):
        _check_lesson(row, lesson, len(data.labels) or 1, states)
    return lessons if states else [Lesson(lesson.scores) for lesson in lessons]


def scores_and_states(
    model: nn.Module,
    columns: Tensor | None = None,
    taken: Tensor | None = None,
    asked: Tensor | None = None,
    **inputs: Tensor,
) -> tuple[Tensor, Tensor]:
    """The scores of a model with a head, `p c`, and the states it reads, `p w`.

    Args:
        model: of any family, for texts or for words.
        columns, taken: as `TextObjective.scores` takes them;
        asked: or as `TokenObjective.scores` does.
        inputs: those of `Bert.forward`.
    """
    if asked is not None:
        states = rearrange(model.bert(**inputs), "b s w -> (b s) w")[asked]
        return model.head(states), states
    first = states_at(model.bert, columns, **inputs)
    states = rearrange(first, "b m w -> (b m) w")[taken]
    return model.head(rearrange(states, "p w -> p 1 w")), states


def lesson_of_each(
    lessons: Sequence[Lesson], features: Sequence[Feature]
) -> list[Lesson]:
    """For each feature its part of its row's lesson.

    Raises:
        ValueError: naming the row of which the student is asked more, or less.
    """
    used, found = [0] * len(lessons), []
    for row, _, _, asked, *_ in features:
        part = slice(used[row], used[row] + len(asked))
        scores, states = lessons[row]
        found.append(Lesson(scores[part], None if states is None else states[part]))
        used[row] = part.stop
    for row, (scores, _) in enumerate(lessons):
        if len(scores) != used[row]:
            raise ValueError(
                f"row {row}: the teacher answers at {len(scores)} places, and the "
                f"student is asked at {used[row]}; both must read the same words"
            )
    return found


class LessonWorks:
    """The passes of a task, each with what the teacher says of its features."""

    def __init__(self, works: TaskWorks, lessons: Sequence[Lesson]) -> None:
        """
        Args:
            works: features without targets are rows whose labels are not known.
            lessons: one for each feature.
        """
        self.works, self.lessons, self.features = works, lessons, works.features

    def __len__(self) -> int:
        return len(self.works)

    def __getitem__(self, number: int) -> Work:
        work, numbers = self.works[number], self.works.numbers(number)
        known = [
            bool(self.features[n].targets)
            for n in numbers
            for _ in self.features[n].asked
        ]
        scores, states = zip(*(self.lessons[n] for n in numbers), strict=True)
        added = {"known": torch.tensor(known), "said": torch.cat(scores)}
        if states[0] is not None:
            added["states"] = torch.cat(states)
        counts = torch.tensor([sum(known), len(known), len(known)])
        return work._replace(arguments={**work.arguments, **added}, counts=counts)

    def name(self, number: int) -> str:
        """The n-th pass in words: which rows of the data it holds."""
        return self.works.name(number)


def _asked(teacher: Predictor, rows: Sequence[Any]) -> list[Lesson]:
    features = features_of(teacher.kind, rows, teacher.reading, teacher.labels)
    device = next(teacher.model.parameters()).device
    found: dict[int, tuple[Tensor, Tensor]] = {}
    with evaluation(teacher.model), torch.no_grad():
        for numbers in batches([feature.size for feature in features]):
            some = [features[n] for n in numbers]
            asked = asked_of(teacher.kind, some, teacher.reading.tokenizer.pad_id)
            moved = {name: value.to(device) for name, value in asked.items()}
            both = scores_and_states(teacher.model, **moved)
            sizes = [len(feature.asked) for feature in some]
            parts = (part.float().cpu().split(sizes) for part in both)
            found.update(zip(numbers, zip(*parts, strict=True), strict=True))
    of_row: list[list[tuple[Tensor, Tensor]]] = [[] for _ in rows]
    for number, feature in enumerate(features):
        of_row[feature.row].append(found[number])
    return [Lesson(*map(torch.cat, zip(*each, strict=True))) for each in of_row]


def _lesson(scores: Any) -> Lesson:
    made = torch.as_tensor(scores).detach().float().cpu()
    return Lesson(made if made.dim() == 2 else made.reshape(1, -1))


def _check_teacher(teacher: Predictor, data: TaskSet) -> None:
    for name, own, wanted in (
        ("kind", teacher.kind, data.kind),
        ("labels", teacher.labels, tuple(data.labels)),
    ):
        if own != wanted:
            raise ValueError(
                f"the teacher's {name}: {own!r:.80}; of the rows: {wanted!r:.80}; give "
                "a teacher of the same task"
            )


def _check_lesson(row: int, lesson: Lesson, columns: int, states: bool) -> None:
    if lesson.scores.shape[-1] != columns:
        raise ValueError(
            f"row {row}: {lesson.scores.shape[-1]} scores of the teacher for {columns} "
            "labels; give one for each label, in their order"
        )
    if states and lesson.states is None:
        raise ValueError(
            "the teacher gives scores and no states; leave them out with states=0 in "
            "the mix"
        )
