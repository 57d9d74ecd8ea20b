"""Engine: what every run does around the loop, so that it can go on (chapter 9).

`Pretraining` and `FineTuning` are runs. Each says what it learns from,
what it is evaluated on and what its card tells; the rest stands here, once.
"""

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any, Self

import torch
from torch import Tensor, nn
from tqdm import tqdm

from bertcore.cards import make_card, write_card
from bertcore.training.checkpoint import (
    check_identity,
    newest_checkpoint,
    save_checkpoint,
)
from bertcore.training.devices import device_name
from bertcore.training.loop import (
    ComputeSettings,
    Diverged,
    History,
    MicroBatches,
    Record,
    TrainingState,
    checkpoint_layers,
    train,
)
from bertcore.training.optim import make_optimisers
from bertcore.training.recipe import Recipe

CHECKPOINTS, CARD = "checkpoints", "card.json"
NOTHING = (
    "No update was made: look at these examples, or begin anew in another folder with "
    "a lower learning rate"
)


class Run:
    """A run: `for record in run.records(): …` trains, and `break` stops it.

    With a folder nothing is lost when the machine goes away: the same call, with the
    same arguments, goes on from the newest checkpoint there. `progress` says how far it
    is, `history` holds its records (every n-th of them if they are many), `evaluations`
    what came out on texts or rows that it does not learn from.

    A kind of run fills in what raises NotImplementedError, and sets `model` before it
    calls `__init__`.
    """

    model: nn.Module
    evaluated = True  # whether there is something to evaluate on

    def __init__(
        self,
        objective: nn.Module,
        batches: MicroBatches,
        recipe: Recipe,
        settings: ComputeSettings,
        folder: Path | None,
        save_every: float,
        checkpoints: Path | None = None,
    ) -> None:
        """
        Args:
            objective: gives the losses; all of its parameters are in a checkpoint.
            folder: of the run; None keeps nothing on disk.
            save_every: seconds of training between two checkpoints.

        Raises:
            ValueError: if the checkpoint in the folder is of another run; or each is
                damaged; or no parameter learns.
        """
        self.objective, self.batches = objective.to(settings.device), batches
        self.recipe, self.settings, self.folder = recipe, settings, folder
        self.save_every = save_every
        if checkpoints is None and folder is not None:
            checkpoints = folder / CHECKPOINTS
        self.checkpoints = checkpoints
        if not any(each.requires_grad for each in objective.parameters()):
            raise ValueError(
                "nothing can be learnt: requires_grad is False for all parameters"
            )
        if settings.checkpoint_activations:
            checkpoint_layers(objective)
        self.optimisers = make_optimisers(objective, recipe)
        self.progress, self.history = TrainingState(), History()
        self.evaluations: list[Any] = []
        self.saved = 0.0  # seconds of training, at the newest checkpoint
        if checkpoints is not None:
            # Before the first update: it may hold a digest of the starting weights.
            self._identity = json.loads(json.dumps(self.identity()))
            self._resume(checkpoints)

    def identity(self) -> dict[str, Any]:
        """Digests and plain values that must be the same for the run to go on."""
        raise NotImplementedError

    def is_due(self, record: Record) -> bool:
        """Whether an evaluation is due after this update."""
        raise NotImplementedError

    def evaluate(self) -> None:
        """Evaluate the model as it is; add what came out to `evaluations`."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds besides weights, moments and progress, for JSON."""
        raise NotImplementedError

    def restore(self, state: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Take back what `state` and `weights` gave."""
        raise NotImplementedError

    def close(self, sound: bool) -> None:
        """Keep what was learnt.

        Args:
            sound: whether the run stopped between two updates, or at its end; not so
                after a fault.
        """
        raise NotImplementedError

    def about(self) -> dict[str, Any]:
        """What the card says of this kind of run: arguments of `make_card`."""
        raise NotImplementedError

    def start(self) -> None:
        """What is done before the first update of a session."""

    def add(self, record: Record) -> None:
        """Take note of an update."""
        self.history.add(record)

    def weights(self) -> dict[str, Tensor]:
        """The tensors of a checkpoint, by name."""
        return dict(self.objective.named_parameters())

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to train."""
        return self.progress.share(self.recipe) >= 1

    @property
    def best(self) -> Any:
        """The evaluation whose weights are kept; None if those of the end are."""
        return None

    def records(self) -> Iterator[Record]:
        """Train to the end; a record after each update.

        A run that has ended gives none, and nothing of it is written again.

        Raises:
            Diverged: if too many updates in a row, or all, had to be left out.
        """
        if self.ended:
            return
        updates = train(
            self.objective,
            self.batches,
            self.optimisers,
            self.recipe,
            self.settings,
            self.progress,
        )
        sound = False
        try:
            self.start()
            for record in updates:
                self.add(record)
                if record.fault is not None:
                    warnings.warn(record.fault, stacklevel=2)
                if self.evaluated and self.is_due(record):
                    self.evaluate()
                # At the end `close` saves, if there is something to go on with.
                due = self.progress.seconds - self.saved >= self.save_every
                if due and not self.ended:
                    self.checkpoint()
                yield record
                if self.ended:
                    break
            if self.progress.skipped == self.progress.step:
                raise Diverged(f"{record.fault}. {NOTHING}")
            sound = True
        except GeneratorExit:  # by `break`, or because nobody reads on
            sound = True
            raise
        finally:
            self.close(sound)

    def run(self, progress: bool = False) -> Self:
        """Train to the end; with `progress`, behind a bar."""
        steps = self.recipe.steps
        with tqdm(total=steps, unit=" updates", disable=not progress) as bar:
            for record in self.records():
                bar.set_postfix_str(f"loss {sum(record.losses):.3f}", refresh=False)
                bar.update()
        return self

    def checkpoint(self) -> None:
        """Write one; every process has to call this."""
        if self.checkpoints is None:
            return
        moments = self.optimisers.state()
        if self.settings.world.leads:
            save_checkpoint(
                self.checkpoints,
                self.progress.step,
                self.weights(),
                moments,
                {
                    "identity": self._identity,
                    "progress": asdict(self.progress),
                    "history": asdict(self.history),
                    **self.state(),
                },
            )
        self.saved = self.progress.seconds
        self.settings.world.wait()

    def _resume(self, checkpoints: Path) -> None:
        newest, faults = newest_checkpoint(checkpoints)
        for fault in faults:
            warnings.warn(f"an earlier checkpoint is used: {fault}", stacklevel=4)
        if newest is None:
            return
        state, weights = newest.state, newest.weights
        check_identity(state["identity"], self._identity, newest.folder)
        with torch.no_grad():
            for name, parameter in self.objective.named_parameters():
                parameter.copy_(weights[name])
        self.optimisers.load(newest.moments)
        self.progress = TrainingState(**state["progress"])
        self.history = History(**state["history"])
        self.saved = self.progress.seconds
        self.restore(state, weights)

    def card(self, **results: Any) -> dict[str, Any]:
        """What ran, on what, and what came out; `results` are added."""
        return _card(self, results)

    def write_card(self) -> None:
        """Into the run's folder, if there is one."""
        if self.folder is not None and self.settings.world.leads:
            write_card(self.folder / CARD, self.card())


def _card(run: Run, results: Mapping[str, Any]) -> dict[str, Any]:
    progress, settings, about = run.progress, run.settings, run.about()
    figures: dict[str, Any] = {
        "steps": progress.step,
        "steps_left_out": progress.skipped,
        "tokens": progress.tokens,
        "training_seconds": round(progress.seconds, 1),
        "tokens_per_second": round(progress.tokens / max(1e-9, progress.seconds)),
        "progress": round(min(1.0, progress.share(run.recipe)), 4),
    }
    # A pause of the machine changes the mean speed, but not the median.
    for name in ("tokens_per_second", "utilisation"):
        values = [v for v in run.history.column(name) if v is not None]
        if values:
            figures[f"median_{name}"] = float(f"{median(values):.3g}")
    if settings.device.type == "cuda":
        figures["peak_memory_bytes"] = torch.cuda.max_memory_allocated(settings.device)
    return make_card(
        about.pop("what"),
        about.pop("data"),
        {**figures, **about.pop("results"), **results},
        device=device_name(settings.device),
        **about,
        parameters=sum(p.numel() for p in run.model.parameters()),
        parameters_learnt=sum(
            p.numel() for p in run.model.parameters() if p.requires_grad
        ),
        without_gradient=run.optimisers.without_gradient() if progress.step else [],
        updates=run.history.stretches(),
        precision=str(settings.precision).removeprefix("torch."),
        processes=settings.world.size,
        compiled=settings.compile,
    )


def weights_digest(module: nn.Module) -> str:
    """One SHA-256 of all parameters, names and values."""
    digest = sha256()
    for name, value in module.named_parameters():
        values = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(name.encode() + values.numpy().tobytes())
    return digest.hexdigest()


def rows_digest(rows: Iterable[Any]) -> str:
    """One SHA-256 of all rows, in their order."""
    digest = sha256()
    for row in rows:
        digest.update(repr(row).encode("utf8", "surrogatepass"))
    return digest.hexdigest()
