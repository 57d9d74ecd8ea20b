"""Distillation: a small model learns from the outputs of a large one (chapter 8).

student = make_student(teacher.model, layers=2)
run = Distillation(sentiment(), teacher, student, tokenizer=teacher.reading.tokenizer)
run.run()
run.score(run.data.test)
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.bert import BertForMaskedLM
from bertcore.model.inference import evaluation, text_states
from bertcore.model.variants.families import masked_lm_of
from bertcore.model.weights import Pretrained
from bertcore.tasks import KINDS, find_task
from bertcore.tasks.rows import TaskSet
from bertcore.tasks.task import Feature, Task, an, batches, on_device
from bertcore.text.batch import TrainingBatch
from bertcore.training.engine import rows_digest, weights_digest
from bertcore.training.finetuning import (
    TaskBatches,
    TaskRun,
    Weights,
)
from bertcore.training.loop import seed_for
from bertcore.training.objectives import (
    OBJECTIVE_CLASSES,
    Objective,
    objective_class,
    states_and_logits,
)
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
            width: of the teacher's states. If the student's differ, they go through a
                linear map that learns with it and is no part of it.
        """
        super().__init__()
        self.hard, self.model, self.mix = task.distilled, model, mix
        self.fit = width_projection(model.config.hidden_size, width)

    def forward(
        self,
        targets: Tensor,
        labelled: Tensor,
        teacher_scores: Tensor,
        states: Tensor | None = None,
        **inputs: Tensor,
    ) -> Tensor:
        """The sums of the losses, each times what it counts, as `3`.

        Args:
            targets: the labels, where they are known.
            labelled: where they are, of all positions that are scored, `p`.
            teacher_scores: `p c`.
            states: of the teacher, `p w`, if they count.
            inputs: those of `scores_and_states`.
        """
        scores, hidden = scores_and_states(self.model, **inputs)
        scores, mix = scores.float(), self.mix
        angles = scores.new_zeros(())
        if states is not None:
            angles = hidden_state_loss(self.fit(hidden).float(), states)
        return torch.stack(
            [
                mix.hard * self.hard(scores[labelled], targets),
                mix.soft * soft_target_loss(scores, teacher_scores, mix.temperature),
                mix.states * angles,
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
            unlabelled: more rows, or texts, of which only the teacher says something;
                their labels, if they have any, are not looked at.

        Raises:
            ValueError: if rows, teacher, student, tuning and mix do not fit together.
            FileNotFoundError: if the student has no such weights.
        """
        if find_task(data.kind).distilled is None:
            able = [name for name, task in KINDS.items() if task.distilled is not None]
            raise ValueError(
                f"no distillation for {data.kind}; there is {', '.join(able)}"
            )
        if tuning is not None and tuning.class_weights:
            raise ValueError(
                f"class_weights={tuning.class_weights!r}: a student learns from its "
                "teacher's probabilities; leave it out"
            )
        readings = [teacher.reading] if isinstance(teacher, Predictor) else []
        for each in filter(None, [tuning, *readings]):
            if each.windows:
                raise ValueError(
                    f"windows={each.windows!r}: student and teacher are compared on "
                    "whole texts; leave it out"
                )
        self.mix, self.unlabelled = mix or LossWeights(), list(unlabelled)
        self.teacher, self._outputs = teacher, list[TeacherOutput]()
        super().__init__(data, student, tuning, **options)

    def objective_and_batches(self) -> tuple[nn.Module, TaskBatches]:
        """The teacher's losses, on the rows to train on and those without labels."""
        rows = [*self.data.train, *unlabelled_rows(self.predictor, self.unlabelled)]
        batches = self.task_batches(rows)
        self._outputs = teacher_outputs(
            self.teacher, rows, self.data, bool(self.mix.states)
        )
        states, width = self._outputs[0].states, self.model.config.hidden_size
        if states is not None:
            width = states.shape[1]
        with torch.random.fork_rng(devices=[]):
            seed_for(self.tuning.seed, 0)
            objective = DistillationObjective(
                self.predictor.task, self.model, self.mix, width
            )
        batches.outputs = outputs_of_features(self._outputs, batches.features)
        batches.extend = with_outputs
        return objective, batches

    @property
    def losses(self) -> list[tuple[float, ...]]:
        """Those of each update."""
        return self._losses

    def identity(self) -> dict[str, Any]:
        if isinstance(self.teacher, Predictor):  # its scores differ by the machine
            teacher = weights_digest(self.teacher.model)
        else:
            parts = (part for output in self._outputs for part in output)
            teacher = rows_digest(part.tolist() for part in parts if part is not None)
        return {
            **super().identity(),
            "teacher": teacher,
            "mix": asdict(self.mix),
            "unlabelled": rows_digest(self.unlabelled),
        }

    def about(self) -> dict[str, Any]:
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
            teacher: with a head for masked pieces, the same pieces, on the same device.

        Raises:
            ValueError: if the teacher has no such head, or other pieces.
        """
        super().__init__(model)
        objective_class(teacher)  # which refuses what predicts no pieces
        teacher = masked_lm_of(teacher)
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

    def forward(
        self, masked_positions: Tensor, labels: Tensor, **inputs: Tensor
    ) -> Tensor:
        """The sum over the masked pieces, as `1`.

        The states of all tokens count, as their mean for each masked piece.

        Args:
            masked_positions: in the batch, read row by row, `t`.
            labels: the true pieces, `t`.
        """
        (teacher,), mix = self._teacher, self.mix
        hidden, logits = states_and_logits(self.model, masked_positions, inputs)
        with evaluation(teacher), torch.no_grad():
            states, teacher_logits = states_and_logits(
                teacher, masked_positions, inputs
            )
        real = inputs["attention_mask"].flatten() > 0
        angles = hidden_state_loss(self.fit(hidden[real]).float(), states[real].float())
        # The other two losses are sums over masked pieces, so this becomes one, too.
        loss = mix.states * angles * len(masked_positions) / real.sum()
        loss += mix.hard * F.cross_entropy(logits, labels, reduction="sum")
        loss += mix.soft * soft_target_loss(logits, teacher_logits, mix.temperature)
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
    guess = F.log_softmax(student / temperature, dim=-1)
    target = F.log_softmax(teacher / temperature, dim=-1)
    return temperature**2 * F.kl_div(guess, target, reduction="sum", log_target=True)


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


def width_projection(student: int, teacher: int) -> nn.Module:
    """From the student's width to the teacher's: a map that learns, if they differ.

    As in FitNets (Romero et al. 2015) and TinyBERT (Jiao et al. 2020): it belongs to
    the training alone.
    """
    if student == teacher:
        return nn.Identity()
    return nn.Linear(student, teacher, bias=False)


def teacher_outputs(
    teacher: Teacher, rows: Sequence[Any], data: TaskSet, states: bool = True
) -> list[TeacherOutput]:
    """The scores and states of a teacher, without dropout and without gradients.

    Args:
        teacher: a `Predictor` of the same task; or its outputs, which are checked.
        rows: of the task; their labels are not read.

    Raises:
        ValueError: if the teacher has another task, other labels, or no states.
    """
    if isinstance(teacher, Predictor):
        for name, learnt, needed in (
            ("kind", teacher.kind, data.kind),
            ("labels", teacher.labels, tuple(data.labels)),
        ):
            if learnt != needed:
                raise ValueError(
                    f"the teacher's {name}: {learnt!r:.80}; of the rows: "
                    f"{needed!r:.80}; give a teacher of the same task"
                )
        outputs = _computed(teacher, rows)
    else:
        outputs = list(teacher)
    if len(outputs) != len(rows):
        raise ValueError(
            f"the teacher says something of {len(outputs)} rows, but there are "
            f"{len(rows)}; it is asked about the rows to train on and the unlabelled"
        )
    columns = len(data.labels) or 1  # a number is one column without a label
    for row, output in enumerate(outputs):
        if output.scores.shape[-1] != columns:
            raise ValueError(
                f"row {row}: {output.scores.shape[-1]} scores of the teacher for "
                f"{columns} labels; give one for each label, in their order"
            )
        if states and output.states is None:
            raise ValueError(
                "the teacher gives scores and no states; leave them out with states=0 "
                "in the mix"
            )
    return outputs if states else [TeacherOutput(output.scores) for output in outputs]


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
        columns: for texts, where they begin in each row, `b m`, filled up at the end.
        taken: which of the `b m` are texts, `p`.
        asked: for words, their positions in the batch, read row by row, `p`.
    """
    if asked is not None:
        states = rearrange(model.bert(**inputs), "b s w -> (b s) w")[asked]
        return model.head(states), states
    first = text_states(model.bert, columns, **inputs)
    states = rearrange(first, "b m w -> (b m) w")[taken]
    return model.head(rearrange(states, "p w -> p 1 w")), states


def outputs_of_features(
    of_rows: Sequence[TeacherOutput], features: Sequence[Feature]
) -> list[TeacherOutput]:
    """For each feature its part of the teacher's output for its row.

    Raises:
        ValueError: naming the row of which the student scores more places, or fewer.
    """
    # A long row is cut into several features, for teacher and student elsewhere.
    used, of_features = [0] * len(of_rows), []
    for feature in features:
        row = feature.row
        part = slice(used[row], used[row] + len(feature.asked))
        scores, states = of_rows[row]
        states = None if states is None else states[part]
        of_features.append(TeacherOutput(scores[part], states))
        used[row] = part.stop
    for row, output in enumerate(of_rows):
        if len(output.scores) != used[row]:
            raise ValueError(
                f"row {row}: the teacher answers at {len(output.scores)} places, and "
                f"the student at {used[row]}; both must read the same words"
            )
    return of_features


def with_outputs(
    batch: TrainingBatch,
    features: Sequence[Feature],
    outputs: Sequence[TeacherOutput],
) -> TrainingBatch:
    """A micro-batch of a task, with the teacher's output for each of its features."""
    # Rows that only the teacher knows have features without targets.
    labelled = [bool(f.targets) for f in features for _ in f.asked]
    teacher_scores = torch.cat([output.scores for output in outputs])
    added = {"labelled": torch.tensor(labelled), "teacher_scores": teacher_scores}
    if outputs[0].states is not None:
        added["states"] = torch.cat([output.states for output in outputs])
    counts = torch.tensor([sum(labelled), len(labelled), len(labelled)])
    return batch._replace(arguments={**batch.arguments, **added}, counts=counts)


def _computed(teacher: Predictor, rows: Sequence[Any]) -> list[TeacherOutput]:
    task, reading, model = teacher.task, teacher.reading, teacher.model
    features = task.features_of(rows, reading, teacher.labels)
    scores: dict[int, Tensor] = {}
    states: dict[int, Tensor] = {}
    with evaluation(model), torch.no_grad():
        for numbers in batches([feature.size for feature in features]):
            batch = [features[n] for n in numbers]
            inputs = task.inputs(batch, reading.tokenizer.pad_id)
            sizes = [len(feature.asked) for feature in batch]
            computed = scores_and_states(model, **on_device(inputs, model))
            for part, of_features in zip(computed, (scores, states), strict=True):
                split = part.float().cpu().split(sizes)
                of_features.update(zip(numbers, split, strict=True))
    # A long row has several features, and they were computed in the order of sizes.
    of_rows: list[list[int]] = [[] for _ in rows]
    for number, feature in enumerate(features):
        of_rows[feature.row].append(number)
    return [
        TeacherOutput(
            scores=torch.cat([scores[n] for n in numbers]),
            states=torch.cat([states[n] for n in numbers]),
        )
        for numbers in of_rows
    ]


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
    count = len(body.encoder.layers)
    if isinstance(layers, int):
        layers = layer_numbers(count, layers)
    elif not layers or not set(layers) <= set(range(count)):
        raise ValueError(
            f"layers={list(layers)} of a teacher that has {count}; give numbers from 0 "
            f"to {count - 1}"
        )
    student = deepcopy(teacher).requires_grad_(True)  # perhaps it was frozen
    body = getattr(student, "bert", student)
    body.encoder.layers = nn.ModuleList(body.encoder.layers[n] for n in layers)
    changes = {"layers": len(layers)}
    if pieces is not None:
        changes["vocab_size"] = len(pieces)
        ids, table = torch.tensor(pieces), body.embeddings.token
        table.weight = nn.Parameter(table.weight.detach()[ids])
        table.num_embeddings = len(ids)
        if isinstance(student, tuple(OBJECTIVE_CLASSES)):  # a bias for each piece
            student.mlm_head.bias = nn.Parameter(student.mlm_head.bias.detach()[ids])
    for part in {student, body}:
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
