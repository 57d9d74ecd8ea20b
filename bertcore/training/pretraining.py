"""Pretraining: a run from its texts to its card (chapter 9)."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bertcore.model.config import BertConfig
from bertcore.model.variants.families import family_with
from bertcore.model.weights import Pretrained
from bertcore.text.dataloader import Batches
from bertcore.text.masking import Masker, SpanMasker
from bertcore.text.pairs import Examples
from bertcore.text.store import Store
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.checkpoint import check_fit, identity
from bertcore.training.engine import Run
from bertcore.training.evaluate import HeldOut, HeldOutScores
from bertcore.training.export import export
from bertcore.training.loop import ComputeSettings, Record, default_compute_settings
from bertcore.training.objectives import (
    OBJECTIVE_CLASSES,
    Objective,
    PretrainingBatches,
    models_for,
    pretraining_objective,
)
from bertcore.training.recipe import Recipe

KEPT = "kept"  # the folder of the models that are kept at moments
_COUNTED = 1_000_000  # ids of which those of the unknown piece are counted


class Evaluation(NamedTuple):
    """The quality on held-out texts at one moment of a run."""

    step: int
    tokens: int
    seconds: float
    quality: HeldOutScores

    def __str__(self) -> str:
        return f"step {self.step:,}, {self.seconds:,.0f} s, held out: {self.quality}"

    def figures(self) -> dict[str, float]:
        """Its numbers by name, for curves."""
        scores = self.quality._asdict().items()
        return {f"held out/{k}": v for k, v in scores if isinstance(v, float)}


class Pretraining(Run):
    """A run of pretraining: `for record in run.records(): …` trains.

    `break` stops it. With a folder nothing is lost when the machine goes away: the same
    call, with the same arguments, goes on from the newest checkpoint there. `progress`
    says how far it is, `history` holds its records (every n-th of them if they are
    many), `evaluations` the quality on held-out texts.
    """

    model: Pretrained

    def __init__(
        self,
        model: Pretrained,
        tokenizer: Tokenizer,
        store: Store,
        recipe: Recipe,
        folder: str | Path | None = None,
        held_out: HeldOut | None = None,
        settings: ComputeSettings | None = None,
        save_every: float = 300.0,
        evaluations: int = 20,
        keep_at: Sequence[float] = (),
        origin: str | None = None,
    ) -> None:
        """
        Args:
            model: one that does what the recipe asks for: a BertForPreTraining for
                pairs, an AlbertForPreTraining for order, or else one with a head for
                masked pieces, or an ElectraPair; it is trained in place.
            settings: where to compute; by default the GPU if there is one, in the
                precision that suits it.
            save_every: seconds of training between two checkpoints; one is also written
                at the end, and when the loop is left.
            evaluations: how many times to evaluate on the held-out texts, evenly.
            keep_at: moments, in order, at which a copy of the model stays in the run's
                folder: updates, or seconds of training if the recipe's end is in them.
            origin: what the model's weights come from, if they are not random.

        Raises:
            ValueError: if model, tokenizer, store and recipe do not fit together, or
                the checkpoint in the folder is of another run; or each is damaged; or
                a moment is after the end.
        """
        check_fit(model, tokenizer, store, recipe)
        self.origin = origin
        self.model, self.tokenizer = model, tokenizer
        self.store, self.held_out = store, held_out
        # Before `__init__`, which may read a checkpoint and then its evaluations.
        self.evaluated = held_out is not None
        self.number_of_evaluations, self._evaluated_at = evaluations, 0.0
        objective = pretraining_objective(model)
        batches = make_batches(objective, tokenizer, store, recipe)
        for each in _few(store, batches.steps.examples, recipe):
            warnings.warn(each, stacklevel=2)
        super().__init__(
            objective,
            batches,
            recipe,
            settings or default_compute_settings(),
            Path(folder).expanduser() if folder is not None else None,
            save_every,
        )
        self.keep_at = self._ahead(keep_at)

    @property
    def _moment(self) -> float:
        """Where the run is, in the unit of its end."""
        by_time = self.recipe.seconds is not None
        return self.progress.seconds if by_time else self.progress.step

    def _ahead(self, moments: Sequence[float]) -> list[float]:
        """The moments that are still to come; ValueError if one never does.

        Models of earlier ones were kept before the checkpoint was written.
        """
        end = self.recipe.seconds or self.recipe.steps
        if moments and moments[-1] > end:
            raise ValueError(
                f"a model is to be kept at {moments[-1]:g}, and the run ends at "
                f"{end:g}; give keep_at={end:g} at most"
            )
        return [each for each in moments if each > self._moment]

    def add(self, record: Record) -> None:
        """Take note of an update; keep the model if its moment has come.

        It is evaluated first, so that its card says how good this model is. That draws
        nothing that training draws from, so the run goes on as without it.
        """
        super().add(record)
        while self.keep_at and self.keep_at[0] <= self._moment:
            moment = self.keep_at.pop(0)
            if not self.evaluations or self.evaluations[-1].step != record.step:
                self.evaluate()
            if self.folder is not None and self.settings.world.leads:
                unit = "updates" if self.recipe.seconds is None else "seconds"
                place = self.folder / KEPT / f"{moment:g}-{unit}"
                export(self.model, self.tokenizer, place, self.card())

    def identity(self) -> dict[str, Any]:
        return identity(self.model, self.tokenizer, self.store, self.recipe)

    def start(self) -> None:
        """Evaluate the starting weights, with which the curve begins."""
        if not self.evaluations:
            self.evaluate()

    def is_due(self, record: Record) -> bool:
        """Whether the next of the evenly spaced moments has come."""
        due = int(record.progress * self.number_of_evaluations)
        return due > int(self._evaluated_at * self.number_of_evaluations)

    def evaluate(self) -> None:
        """Evaluate on the held-out texts; add what came out to `evaluations`."""
        self._evaluated_at = self.progress.share(self.recipe)
        if self.held_out is None or not self.settings.world.leads:
            return
        quality = self.held_out.ask(self.model, self.settings.device)
        at = self.progress
        self.evaluations.append(Evaluation(at.step, at.tokens, at.seconds, quality))

    def state(self) -> dict[str, Any]:
        return {"evaluations": self.evaluations}

    def restore(self, state: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        self.evaluations = [
            Evaluation(*values, HeldOutScores(*quality))
            for *values, quality in state["evaluations"]
        ]
        self._evaluated_at = self.progress.share(self.recipe)

    def close(self, sound: bool) -> None:
        """Evaluate and save, if that has not been done; write the card."""
        if not sound:  # the newest checkpoint stands
            return
        if not self.evaluations or self.evaluations[-1].step != self.progress.step:
            self.evaluate()
        self.checkpoint()
        self.write_card()

    def about(self) -> dict[str, Any]:
        unknown = self.store.ids[:_COUNTED] == self.tokenizer.unk_id
        results: dict[str, Any] = {"unknown_pieces": round(float(unknown.mean()), 4)}
        passes = self.progress.tokens / len(self.store.ids)
        results["passes_over_the_texts"] = float(f"{passes:.3g}")
        if self.evaluations:
            results["held_out"] = self.evaluations[-1].quality._asdict()
        if self.held_out is not None:
            results["unigram_loss"] = self.held_out.unigram(self.store)
        began = self.identity()
        return {
            "what": f"Pretraining of a {type(self.model).__name__}",
            "data": self.store.manifest.get("source", "texts in memory"),
            "results": results,
            "model": began["model"],
            "origin": self.origin or "random weights",
            "recipe": self.recipe.to_dict(),
            "digests": {name: began[name] for name in ("vocabulary", "data")},
            "curve": [
                [at.step, at.tokens, at.seconds, at.quality.masked_lm]
                for at in self.evaluations
            ],
        }


def make_examples(store: Store, recipe: Recipe) -> Examples:
    """Pairs, perhaps swapped ones, or windows, as the recipe says."""
    return OBJECTIVE_CLASSES[models_for(recipe)[0]].examples(store, recipe)


def make_masker(
    objective: Objective, tokenizer: Tokenizer, recipe: Recipe
) -> Masker | SpanMasker:
    """Hides the pieces that a recipe asks for, behind what suits the objective."""
    shares = {"masked": objective.masked, "random": objective.random}
    if recipe.spans:
        return SpanMasker(tokenizer, recipe.mask_rate, recipe.mask_limit, **shares)
    shares["whole_words"] = recipe.whole_words
    return Masker(tokenizer, recipe.mask_rate, recipe.mask_limit, **shares)


def make_batches(
    objective: Objective, tokenizer: Tokenizer, store: Store, recipe: Recipe
) -> PretrainingBatches:
    """The batches of a run: packed rows, masked anew in every epoch.

    Raises:
        ValueError: if the texts give fewer examples than a pass takes.
    """
    examples = objective.examples(store, recipe)
    if recipe.one_pass > (count := len(examples.spans)):
        raise ValueError(
            f"pass_size={recipe.one_pass}, and the texts give {count} examples of "
            f"length={recipe.length}; give batch={count} or less, or more texts"
        )
    batches = Batches(
        store,
        examples,
        tokenizer,
        make_masker(objective, tokenizer, recipe),
        size=recipe.one_pass,
        seed=recipe.seed,
        row=recipe.length,
    )
    return PretrainingBatches(batches, objective.extra_arguments)


def _few(store: Store, examples: Examples, recipe: Recipe) -> Iterator[str]:
    """What texts are too few for, in sentences."""
    count = len(examples.spans)
    if recipe.batch > count:
        yield (
            f"an update of batch={recipe.batch} reads the {count:,} examples more than "
            f"once; give batch={count} or less, or more texts"
        )
    if recipe.pairs and len(store) == 1:
        yield (
            "there is one document, so the random half of the pairs is from it, too; "
            "give more of them (in a .txt file a blank line ends one), or pairs=False"
        )
    elif recipe.pairs and examples.labels.all():
        yield (
            "no document has two sentences, so the second text of a pair is always a "
            "random one; give longer documents, or pairs=False"
        )


def pretraining_class(config: BertConfig, recipe: Recipe) -> type[nn.Module]:
    """The class of the model that a recipe trains.

    Of ELECTRA it is generator and discriminator; of BERT with hidden spans, SpanBERT.

    Raises:
        ValueError: if no model of the family can be asked what the recipe asks.
    """
    family, fitting = family_with(config), models_for(recipe)
    for kind in fitting:
        if kind.config_class is family.config:
            return kind
    # Every family has a model for masked pieces alone, so a second loss was asked for.
    field = "pairs" if recipe.pairs else "order"
    raise ValueError(
        f"{field}=True is asked of {fitting[0].__name__}, and the config is a "
        f"{type(config).__name__}; give {field}=False"
    )


def new_model(config: BertConfig, recipe: Recipe) -> nn.Module:
    """The model that a recipe trains, with the starting weights of its seed."""
    kind = pretraining_class(config, recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return kind(config)
