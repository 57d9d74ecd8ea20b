"""Distillation: a small model learns what a large one says of the rows (chapter 8).

student = student_of(teacher.model, layers=2)
run = Distillation(sentiment(), teacher, student, tokenizer=teacher.reading.tokenizer)
run.run()
run.score(run.data.test)
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bertcore.cards import write_card
from bertcore.text.features import features_of
from bertcore.text.progress import bar
from bertcore.text.rows import TaskSet
from bertcore.training.decode import plain_row
from bertcore.training.distill.lessons import (
    LessonWorks,
    Teacher,
    ask,
    lesson_of_each,
    scores_and_states,
)
from bertcore.training.distill.losses import Mix, fitted, soft_loss, state_loss
from bertcore.training.finetune import CARD, FineTuning, TaskLook
from bertcore.training.loop import seed_for
from bertcore.training.predict import Predictor
from bertcore.training.progress import Record
from bertcore.training.taskmodel import Weights
from bertcore.training.tasks import an, class_loss, number_loss
from bertcore.training.taskworks import TaskWorks
from bertcore.training.tuning import Tuning

HARD = dict(classification=class_loss, regression=number_loss, tagging=class_loss)


class DistillationObjective(nn.Module):
    """A student and the sums of three losses: labels, teacher's scores, its states."""

    def __init__(self, kind: str, model: nn.Module, mix: Mix, width: int) -> None:
        """
        Args:
            kind: of the task.
            model: the student, with its head.
            mix: what each loss counts.
            width: of the teacher's states. If the student's differ, they go through a
                linear map that learns with it and is no part of it.
        """
        super().__init__()
        self.hard, self.model, self.mix = HARD[kind], model, mix
        self.fit = fitted(model.config.hidden_size, width)

    def forward(
        self,
        targets: Tensor,
        known: Tensor,
        said: Tensor,
        states: Tensor | None = None,
        **given: Tensor,
    ) -> Tensor:
        """The sums of the losses, each times what it counts, as `3`.

        Args:
            targets: what is right, where that is known.
            known: where it is, of all the places that are asked, `p`.
            said: the teacher's scores, `p c`.
            states: and its states, `p w`, if they count.
            given: as for `scores_and_states`.
        """
        scores, own = scores_and_states(self.model, **given)
        scores, mix = scores.float(), self.mix
        alike = scores.new_zeros(())
        if states is not None:
            alike = state_loss(self.fit(own).float(), states)
        return torch.stack(
            [
                mix.hard * self.hard(scores[known], targets),
                mix.soft * soft_loss(scores, said, mix.temperature),
                mix.states * alike,
            ]
        )


class Distillation:
    """A run: `for record in run.records(): …` trains, and `break` stops it.

    The teacher is asked once, before the first update, and stays as it is. The rest is
    as in `FineTuning`, which is `tuned` here: looks at the validation rows, and the
    best weights in the end. `losses` holds those of each update: labels, teacher's
    scores, its states, each times what it counts.
    """

    def __init__(
        self,
        data: TaskSet,
        teacher: Teacher,
        student: Weights,
        tuning: Tuning | None = None,
        mix: Mix | None = None,
        unlabelled: Sequence[Any] = (),
        **options: Any,
    ) -> None:
        """
        Args:
            data: labelled rows, for classification, regression or tagging.
            teacher: a `Predictor` of the same task, with a tokenizer of its own or
                not; or any function from a list of rows to the scores of each, `c`,
                or for tagging `words c`; or what `ask` gave for the same rows.
            student: what learns, as the weights of `FineTuning`; see `student_of`.
            tuning: how to train.
            mix: what each loss counts.
            unlabelled: more rows, or texts, of which only the teacher says something;
                their labels, if they have any, are not looked at.
            options: those of `FineTuning`.

        Raises:
            ValueError: if rows, teacher, student, tuning and mix do not fit together.
            FileNotFoundError: if the student has no such weights.
        """
        self.mix = mix or Mix()
        if data.kind not in HARD:
            raise ValueError(
                f"no distillation for {data.kind}; there is {', '.join(HARD)}"
            )
        self.tuned = tuned = FineTuning(data, student, tuning, **options)
        self.data, self.predictor, self.model = tuned.data, tuned.predictor, tuned.model
        self.looks, self.losses = tuned.looks, list[tuple[float, ...]]()
        more = [
            plain_row(data.kind, number, row, self.predictor.pairs)
            for number, row in enumerate(unlabelled)
        ]
        self.asked = [*self.data.train, *more]
        lessons = ask(teacher, self.asked, self.data, bool(self.mix.states))
        self.about = an(type(teacher.model)) if isinstance(teacher, Predictor) else None
        self._equip(lessons, len(more))

    def _equip(self, lessons: Sequence[Any], more: int) -> None:
        """The run of the student gets the teacher's loss, and passes that have it."""
        tuned, kind, reading = self.tuned, self.data.kind, self.predictor.reading
        known = len(self.asked) - more
        found = features_of(kind, self.asked[known:], reading, self.data.labels)
        extra = [feature._replace(row=feature.row + known) for feature in found]
        features, old = [*tuned.works.features, *extra], tuned.works
        tuned.recipe = tuned.tuning.recipe(len(features))
        size, shape = tuned.recipe.one_pass, old.shape
        works = TaskWorks(kind, features, size, old.seed, old.pad_id, shape)
        tuned.works = LessonWorks(works, lesson_of_each(lessons, features))
        states = lessons[0].states
        own = self.model.config.hidden_size
        width = own if states is None else states.shape[1]
        with torch.random.fork_rng(devices=[]):
            seed_for(old.seed, 0)
            objective = DistillationObjective(kind, self.model, self.mix, width)
        tuned.objective = objective.to(tuned.setting.device)

    def records(self) -> Iterator[Record]:
        """Train to the end, or until patience is over; a record after each update."""
        try:
            for record in self.tuned.records():
                self.losses.append(record.losses)
                yield record
        finally:
            folder, world = self.tuned.folder, self.tuned.setting.world
            if folder is not None and self.tuned.progress.step and world.leads:
                write_card(folder / CARD, self.card())

    def run(self, progress: bool = False) -> "Distillation":
        """Train to the end; with `progress`, behind a bar, which needs tqdm."""
        with bar(progress, total=self.tuned.recipe.steps, unit=" updates") as shown:
            for record in self.records():
                if shown is not None:
                    shown.set_postfix_str(f"loss {sum(record.losses):.3f}", False)
                    shown.update()
        return self

    @property
    def best(self) -> TaskLook | None:
        """The look whose weights the student has; None without validation rows."""
        return self.tuned.best

    def score(self, rows: Sequence[Any]) -> dict[str, float]:
        """The scores of the student, as it is, on rows that say what is right."""
        return self.tuned.score(rows)

    def save(self, folder: str | Path) -> None:
        """Write a folder that `Predictor` loads, and transformers, too."""
        self.tuned.save(folder)

    def card(self, **results: Any) -> dict[str, Any]:
        """What ran, on what, and what came out; `results` are added."""
        card = self.tuned.card(**results)
        card["what"] = f"Distillation into {an(type(self.model))}"
        more = len(self.asked) - len(self.data.train)
        setting = {"teacher": self.about, "mix": asdict(self.mix), "unlabelled": more}
        return {**card, "setting": {**card["setting"], **setting}}
