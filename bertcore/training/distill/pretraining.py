"""Pretraining: a student learns the teacher's guesses of pieces (chapter 8).

objective = MaskedLMDistillation(student, teacher)
works = PretrainingWorks(steps, student.config)
for record in train(objective, works, optimisers, recipe, setting, Progress()):
    print(record)
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.inference import evaluation
from bertcore.model.tasks import BertForMaskedLM
from bertcore.training.distill.losses import Mix, fitted, soft_loss, state_loss

TRIPLE = Mix(hard=2.0, soft=5.0, states=1.0, temperature=2.0)


class MaskedLMDistillation(nn.Module):
    """A student and the sum of DistilBERT's three losses, in one module.

    Sanh et al. 2019, section 3: against the hidden pieces, the teacher's distribution
    over them, and the direction of its last states. The default mix is that of the
    README of its training script.

    The teacher is asked in each pass, as each masks other pieces. It is no part of the
    module: it does not learn, and stays as it is, also its mode.
    """

    def __init__(
        self, model: BertForMaskedLM, teacher: nn.Module, mix: Mix = TRIPLE
    ) -> None:
        """
        Args:
            model: the student.
            teacher: with `bert` and `mlm_head`, the same pieces, on the same device.
            mix: what each loss counts.

        Raises:
            ValueError: if the teacher has no such head, or other pieces.
        """
        super().__init__()
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
        self.model, self.mix = model, mix
        self.fit = fitted(model.config.hidden_size, teacher.config.hidden_size)
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
        own, guesses = _read(self.model, asked, inputs)
        with evaluation(teacher), torch.no_grad():
            states, wanted = _read(teacher, asked, inputs)
        real = inputs["attention_mask"].flatten() > 0
        alike = state_loss(self.fit(own[real]).float(), states[real].float())
        loss = mix.states * alike * len(asked) / real.sum()
        loss += mix.hard * F.cross_entropy(guesses, labels, reduction="sum")
        loss += mix.soft * soft_loss(guesses, wanted, mix.temperature)
        return loss[None]


def _read(
    model: nn.Module, asked: Tensor, inputs: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Last states, `(b s) w`, and the scores of all pieces at the places, `t v`."""
    hidden = rearrange(model.bert(**inputs), "b s w -> (b s) w")
    table = model.bert.embeddings.token.weight
    return hidden, model.mlm_head(hidden[asked], table).float()
