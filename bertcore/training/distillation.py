"""Distillation: a small model learns from the outputs of a large one (chapter 8).

student = make_student(teacher.model, layers=2)
run = Distillation(sentiment(), teacher, student, tokenizer=teacher.reading.tokenizer)
run.run()
run.score(run.data.test)
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, fields
from itertools import chain
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.bert import BertForMaskedLM
from bertcore.model.counts import Costs
from bertcore.model.inference import evaluation, states_at
from bertcore.model.weights import Pretrained
from bertcore.tasks.kinds import KINDS, find_task
from bertcore.tasks.rows import TaskSet
from bertcore.tasks.task import Feature, Task, an, batches, on_device
from bertcore.text.batch import TrainingBatch
from bertcore.training.engine import rows_digest, weights_digest
from bertcore.training.finetuning import (
    TaskBatches,
    TaskRun,
    Weights,
    task_costs,
)
from bertcore.training.loop import seed_for
from bertcore.training.objectives import Objective, states_and_logits
from bertcore.training.predictor import Predictor, unlabelled_rows
from bertcore.training.recipe import Tuning


@dataclass(frozen=True)
class LossWeights:
    """What each loss counts beside the others.

    Args:
        hard: the loss against the labels, where they are known.
        soft: that against the teacher's scores.
        states: that against the teacher's states.
        temperature: by which the scores of both are divided; the higher it is, the more
            the unlikely answers matter.

    Raises:
        ValueError: naming the field that makes no sense, and what would.
    """

    hard: float = 1.0
    soft: float = 1.0
    states: float = 1.0
    temperature: float = 2.0

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        weights = {f.name: getattr(self, f.name) for f in fields(self)[:3]}
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"{name}={weight!r}; give 0, or a finite number above")
        if not any(weights.values()):
            raise ValueError(
                f"{', '.join(weights)} are all 0, so nothing is learnt; give one of "
                "them more"
            )


class DistillationObjective(nn.Module):
    """A student and the sums of three losses: labels, teacher's scores, its states."""

    def __init__(
        self, task: Task, model: nn.Module, mix: LossWeights, width: int
    ) -> None:
        """
        Args:
            task: the kind, one with a loss for distillation.
            model: the student, with its head.
            mix: what each loss counts.
            width: of the teacher's states. If the student's differ, they go through a
                linear map that learns with it and is no part of it.
        """
        super().__init__()
        self.hard, self.model, self.mix = task.distilled, model, mix
        self.fit = width_projection(model.config.hidden_size, width)

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
            alike = hidden_state_loss(self.fit(own).float(), states)
        return torch.stack(
            [
                mix.hard * self.hard(scores[known], targets),
                mix.soft * soft_target_loss(scores, said, mix.temperature),
                mix.states * alike,
            ]
        )


class TeacherOutput(NamedTuple):
    """What a teacher says of a row: scores `a c`, and the states behind them, `a w`.

    `a` is 1 for a text, and as many as there are words for tagging.
    """

    scores: Tensor
    states: Tensor | None = None


Teacher = Predictor | Sequence[TeacherOutput]


class Distillation(TaskRun):
    """A run on what a teacher says: `for record in run.records(): …` trains.

    The teacher is asked once, before the first update, and stays as it is. The rest is
    as in `FineTuning`: evaluations on the validation rows, and the best weights in the
    end. `losses` holds those of each update: labels, teacher's scores, its states, each
    times what it counts.
    """

    def __init__(
        self,
        data: TaskSet,
        teacher: Teacher,
        student: Weights,
        tuning: Tuning | None = None,
        mix: LossWeights | None = None,
        unlabelled: Sequence[Any] = (),
        **options: Any,
    ) -> None:
        """
        Args:
            data: labelled rows, for classification, regression or tagging.
            teacher: a `Predictor` of the same task, with a tokenizer of its own or
                not; or what `teacher_outputs` gave for the same rows.
            student: what learns, as the weights of `FineTuning`; see `make_student`.
            tuning: how to train.
            mix: what each loss counts.
            unlabelled: more rows, or texts, of which only the teacher says something;
                their labels, if they have any, are not looked at.
            options: those of `FineTuning`.

        Raises:
            ValueError: if rows, teacher, student, tuning and mix do not fit together.
            FileNotFoundError: if the student has no such weights.
        """
        if find_task(data.kind).distilled is None:
            able = [name for name, task in KINDS.items() if task.distilled is not None]
            raise ValueError(
                f"no distillation for {data.kind}; there is {', '.join(able)}"
            )
        self.mix, self.unlabelled = mix or LossWeights(), list(unlabelled)
        self.teacher, self._lessons = teacher, list[TeacherOutput]()
        super().__init__(data, student, tuning, **options)

    def lessons(self) -> "tuple[nn.Module, DistillationBatches]":
        """The teacher's losses, on the rows to train on and those without labels."""
        data = self.data
        more = unlabelled_rows(self.predictor, self.unlabelled)
        rows = [*data.train, *more]
        batches = self.task_batches(rows)
        lessons = teacher_outputs(self.teacher, rows, data, bool(self.mix.states))
        self._lessons = lessons
        states, own = lessons[0].states, self.model.config.hidden_size
        width = own if states is None else states.shape[1]
        with torch.random.fork_rng(devices=[]):
            seed_for(self.tuning.seed, 0)
            objective = DistillationObjective(
                self.predictor.task, self.model, self.mix, width
            )
        outputs = outputs_of_features(lessons, batches.features)
        return objective, DistillationBatches(batches, outputs)

    @property
    def losses(self) -> list[tuple[float, ...]]:
        """Those of each update."""
        return self._losses

    def identity(self) -> dict[str, Any]:
        """What must be the same for the run to go on, the teacher included."""
        if isinstance(self.teacher, Predictor):  # what it says differs by the machine
            teacher = weights_digest(self.teacher.model)
        else:
            teacher = rows_digest(
                p.tolist() for p in chain(*self._lessons) if p is not None
            )
        return {
            **super().identity(),
            "teacher": teacher,
            "mix": asdict(self.mix),
            "unlabelled": rows_digest(self.unlabelled),
        }

    def about(self) -> dict[str, Any]:
        """What the card says of distillation alone."""
        teacher = None
        if isinstance(self.teacher, Predictor):
            teacher = an(type(self.teacher.model))
        return {
            **super().about(),
            "what": f"Distillation into {an(type(self.model))}",
            "teacher": teacher,
            "mix": asdict(self.mix),
            "unlabelled": len(self.unlabelled),
        }


def check_temperature(temperature: float) -> None:
    """ValueError unless it is above 0 and finite."""
    if not 0 < temperature < float("inf"):
        raise ValueError(
            f"temperature={temperature!r}; give a finite number above 0, such as 2"
        )


TRIPLE = LossWeights(hard=2.0, soft=5.0, states=1.0, temperature=2.0)


class MaskedLMDistillation(Objective):
    """A student and the sum of DistilBERT's three losses, in one module.

    Sanh et al. 2019, section 3: against the hidden pieces, the teacher's distribution
    over them, and the direction of its last states. The default mix is that of the
    README of its training script.

    The teacher is asked in each pass, as each masks other pieces. It is no part of the
    module: it does not learn, and stays as it is, also its mode.
    """

    def __init__(
        self, model: BertForMaskedLM, teacher: nn.Module, mix: LossWeights = TRIPLE
    ) -> None:
        """
        Args:
            model: the student.
            teacher: with `bert` and `mlm_head`, the same pieces, on the same device.
            mix: what each loss counts.

        Raises:
            ValueError: if the teacher has no such head, or other pieces.
        """
        super().__init__(model)
        if not hasattr(teacher, "mlm_head"):
            raise ValueError(
                f"the teacher is a {type(teacher).__name__}, which guesses no pieces; "
                "give a BertForMaskedLM or a BertForPreTraining"
            )
        if teacher.config.vocab_size != model.config.vocab_size:
            raise ValueError(
                f"the teacher knows {teacher.config.vocab_size} pieces and the student "
                f"{model.config.vocab_size}; give both the same vocabulary"
            )
        self.mix = mix
        self.fit = width_projection(
            model.config.hidden_size, teacher.config.hidden_size
        )
        self._teacher = (teacher,)  # in a tuple, or it would become a part

    def forward(self, asked: Tensor, labels: Tensor, **inputs: Tensor) -> Tensor:
        """The sum over the masked pieces, as `1`.

        The states of all tokens count, as their mean for each masked piece.

        Args:
            asked: places of the masked pieces in the batch, read row by row, `t`.
            labels: what stood there, `t`.
            inputs: those of `Bert.forward`.
        """
        (teacher,), mix = self._teacher, self.mix
        own, guesses = states_and_logits(self.model, asked, inputs)
        with evaluation(teacher), torch.no_grad():
            states, wanted = states_and_logits(teacher, asked, inputs)
        real = inputs["attention_mask"].flatten() > 0
        alike = hidden_state_loss(self.fit(own[real]).float(), states[real].float())
        loss = mix.states * alike * len(asked) / real.sum()
        loss += mix.hard * F.cross_entropy(guesses, labels, reduction="sum")
        loss += mix.soft * soft_target_loss(guesses, wanted, mix.temperature)
        return loss[None]


def soft_target_loss(
    student: Tensor, teacher: Tensor, temperature: float = 1.0
) -> Tensor:
    """The sum over rows of KL(teacher || student) of softened scores, times T squared.

    Hinton et al. 2015, section 2: gradients of softened scores shrink as 1/T², so the
    factor keeps them as large as those of the labels. Of one column, which is a number
    and no class, it is the squared difference.

    Args:
        student: scores, `p c`.
        teacher: as many; they get no gradient.
        temperature: T, by which both are divided.

    Raises:
        ValueError: if the shapes differ, or the temperature is not above 0.
    """
    check_temperature(temperature)
    if student.shape != teacher.shape:
        raise ValueError(
            f"scores of the student {tuple(student.shape)}, of the teacher "
            f"{tuple(teacher.shape)}; give the same places and the same classes"
        )
    teacher = teacher.detach()
    if student.shape[-1] == 1:
        return (student - teacher).square().sum()
    own = F.log_softmax(student / temperature, dim=-1)
    wanted = F.log_softmax(teacher / temperature, dim=-1)
    return temperature**2 * F.kl_div(own, wanted, reduction="sum", log_target=True)


def hidden_state_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The sum over places of 1 - cos of the angle between the states.

    Sanh et al. 2019 (DistilBERT), section 3: it aligns directions, and leaves lengths
    free, which the norm of the last layer sets anyway.

    Args:
        student: states, `p w`.
        teacher: as many; they get no gradient.

    Raises:
        ValueError: if the shapes differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f"states of the student {tuple(student.shape)}, of the teacher "
            f"{tuple(teacher.shape)}; give the same places, and bring other widths to "
            "the teacher's with a linear map that learns, as width_projection has it"
        )
    return (1 - F.cosine_similarity(student, teacher.detach(), dim=-1)).sum()


def width_projection(own: int, teachers: int) -> nn.Module:
    """From the student's width to the teacher's: a map that learns, if they differ.

    As in FitNets (Romero et al. 2015) and TinyBERT (Jiao et al. 2020): it belongs to
    the training alone.
    """
    return nn.Identity() if own == teachers else nn.Linear(own, teachers, bias=False)


def teacher_outputs(
    teacher: Teacher, rows: Sequence[Any], data: TaskSet, states: bool = True
) -> list[TeacherOutput]:
    """What a teacher says of each row, without dropout and without gradients.

    Args:
        teacher: a `Predictor` of the same task; or its outputs, which are checked.
        rows: of the task; their labels are not looked at.
        data: the task, with its labels.
        states: whether the states are wanted.

    Raises:
        ValueError: if the teacher has another task, other labels, or no states.
    """
    if isinstance(teacher, Predictor):
        for name, own, wanted in (
            ("kind", teacher.kind, data.kind),
            ("labels", teacher.labels, tuple(data.labels)),
        ):
            if own != wanted:
                raise ValueError(
                    f"the teacher's {name}: {own!r:.80}; of the rows: {wanted!r:.80}; "
                    "give a teacher of the same task"
                )
        lessons = _asked(teacher, rows)
    else:
        lessons = list(teacher)
    if len(lessons) != len(rows):
        raise ValueError(
            f"the teacher says something of {len(lessons)} rows, but there are "
            f"{len(rows)}; it is asked about the rows to train on and the unlabelled"
        )
    columns = len(data.labels) or 1
    for row, lesson in enumerate(lessons):
        if lesson.scores.shape[-1] != columns:
            raise ValueError(
                f"row {row}: {lesson.scores.shape[-1]} scores of the teacher for "
                f"{columns} labels; give one for each label, in their order"
            )
        if states and lesson.states is None:
            raise ValueError(
                "the teacher gives scores and no states; leave them out with states=0 "
                "in the mix"
            )
    return lessons if states else [TeacherOutput(lesson.scores) for lesson in lessons]


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


def outputs_of_features(
    lessons: Sequence[TeacherOutput], features: Sequence[Feature]
) -> list[TeacherOutput]:
    """For each feature its part of its row's lesson.

    Raises:
        ValueError: naming the row of which the student is asked more, or less.
    """
    used, found = [0] * len(lessons), []
    for row, _, _, asked, *_ in features:
        part = slice(used[row], used[row] + len(asked))
        scores, states = lessons[row]
        found.append(
            TeacherOutput(scores[part], None if states is None else states[part])
        )
        used[row] = part.stop
    for row, (scores, _) in enumerate(lessons):
        if len(scores) != used[row]:
            raise ValueError(
                f"row {row}: the teacher answers at {len(scores)} places, and the "
                f"student is asked at {used[row]}; both must read the same words"
            )
    return found


class DistillationBatches:
    """The passes of a task, each with what the teacher says of its features."""

    def __init__(self, batches: TaskBatches, lessons: Sequence[TeacherOutput]) -> None:
        """`lessons` has one for each feature; those without targets have no label."""
        self.batches, self.lessons = batches, lessons
        self.features = batches.features

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> TrainingBatch:
        return self.holding(self.batches.numbers(number))

    def holding(self, numbers: Sequence[int]) -> TrainingBatch:
        """The batch of these features."""
        batch = self.batches.holding(numbers)
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
        return batch._replace(arguments={**batch.arguments, **added}, counts=counts)

    def costs(self, objective: nn.Module) -> Costs:
        """What a pass of the objective costs."""
        return task_costs(objective, self)

    def name(self, number: int) -> str:
        """The n-th pass in words: which rows of the data it holds."""
        return self.batches.name(number)


def _asked(teacher: Predictor, rows: Sequence[Any]) -> list[TeacherOutput]:
    task, reading = teacher.task, teacher.reading
    features = task.features_of(rows, reading, teacher.labels)
    found: dict[int, tuple[Tensor, Tensor]] = {}
    with evaluation(teacher.model), torch.no_grad():
        for numbers in batches([feature.size for feature in features]):
            some = [features[n] for n in numbers]
            asked = task.inputs(some, reading.tokenizer.pad_id)
            both = scores_and_states(teacher.model, **on_device(asked, teacher.model))
            sizes = [len(feature.asked) for feature in some]
            parts = (part.float().cpu().split(sizes) for part in both)
            found.update(zip(numbers, zip(*parts, strict=True), strict=True))
    of_row: list[list[tuple[Tensor, Tensor]]] = [[] for _ in rows]
    for number, feature in enumerate(features):
        of_row[feature.row].append(found[number])
    return [TeacherOutput(*map(torch.cat, zip(*each, strict=True))) for each in of_row]


def make_student(
    teacher: Pretrained,
    layers: int | Sequence[int],
    pieces: Sequence[int] | None = None,
) -> Pretrained:
    """A copy of a teacher, head included, with some of its layers.

    Args:
        teacher: a `Bert`, or a model with one and a head; it stays as it is.
        layers: how many, which are those of `layer_numbers`; or their numbers, from 0.
        pieces: ids of the pieces that it knows, in the order of their new ids, as
            `reduced_vocabulary` gives them; by default all.

    Raises:
        ValueError: if the teacher has not so many layers, or is no such model.
    """
    body = getattr(teacher, "bert", teacher)
    if not hasattr(getattr(body, "encoder", None), "layers"):
        raise ValueError(
            f"{type(teacher).__name__} has no encoder with layers; give a Bert, or a "
            "model with one"
        )
    chosen = _chosen(len(body.encoder.layers), layers)
    student = deepcopy(teacher).requires_grad_(True)
    own = getattr(student, "bert", student)
    own.encoder.layers = nn.ModuleList(own.encoder.layers[n] for n in chosen)
    changes = {"layers": len(chosen)}
    if pieces is not None:
        changes["vocab_size"] = len(pieces)
        ids, table = torch.tensor(pieces), own.embeddings.token
        table.weight = nn.Parameter(table.weight.detach()[ids])
        table.num_embeddings = len(ids)
        if hasattr(student, "mlm_head"):
            student.mlm_head.bias = nn.Parameter(student.mlm_head.bias.detach()[ids])
    for part in {student, own}:
        part.config = part.config.replace(**changes)
    return student


def layer_numbers(count: int, layers: int) -> list[int]:
    """The layers of a teacher that its student begins with: evenly, first and last.

    From 12 to 6 they are those of the script `extract_distilbert.py` of DistilBERT.

    Raises:
        ValueError: if there are not so many.

    >>> layer_numbers(12, 6)
    [0, 2, 4, 7, 9, 11]
    """
    if not 1 <= layers <= count:
        raise ValueError(
            f"layers={layers} of a teacher that has {count}; give 1 to {count}"
        )
    return [round(n * (count - 1) / max(1, layers - 1)) for n in range(layers)]


def _chosen(count: int, layers: int | Sequence[int]) -> list[int]:
    if isinstance(layers, int):
        return layer_numbers(count, layers)
    if not layers or not set(layers) <= set(range(count)):
        raise ValueError(
            f"layers={list(layers)} of a teacher that has {count}; give numbers from 0 "
            f"to {count - 1}"
        )
    return list(layers)
