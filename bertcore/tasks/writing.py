"""Writing: a target text for a source, by an encoder and a decoder (chapter 7)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.files import read_json, write_json
from bertcore.model.config import BertConfig
from bertcore.model.decoder import EncoderDecoder
from bertcore.model.generate import Search, generate
from bertcore.model.weights import Pretrained
from bertcore.sources import find_file
from bertcore.tasks import baselines
from bertcore.tasks.rows import (
    Labels,
    Settings,
    Source,
    field,
    fields_of,
    normal,
    text_faults,
)
from bertcore.tasks.task import (
    Feature,
    FeatureSettings,
    Fitted,
    Scored,
    Task,
    Weights,
    an,
    batches,
    check_length,
    metrics_library,
    on_device,
    update_config,
)
from bertcore.text.batch import ROW, least_padding, packed_pairs, padded
from bertcore.text.characters import split_words
from bertcore.text.wordpiece import Tokenizer

# Tokens of sources and of what is written, which comes one by one: more fit at once.
ROOM = 16384
_USUAL = {
    "text": "article document source input dialogue",
    "target": "summary highlights output response",
}
_IDS = ("start_id", "stop_id")  # of a search: those of the tokenizer


class WritingObjective(nn.Module):
    """The next token at each of a target's, and the sum of its loss."""

    def __init__(self, model: EncoderDecoder, smoothing: float = 0.0) -> None:
        """
        Args:
            model: an encoder-decoder.
            smoothing: the share of each token's truth that is spread over the whole
                vocabulary (Szegedy et al. 2016, section 7; Vaswani et al. 2017, 5.4).
        """
        super().__init__()
        self.model, self.smoothing = model, smoothing

    def scores(self, asked: Tensor, **inputs: Tensor) -> Tensor:
        """Logits, `t v`.

        Args:
            asked: places in the batch of targets, read row by row, `t`.
            inputs: those of `EncoderDecoder.forward`.
        """
        hidden = rearrange(self.model.states(**inputs), "b q w -> (b q) w")
        return self.model.decoder.scores(hidden[asked])

    def forward(self, targets: Tensor, **given: Tensor) -> Tensor:
        """The sum over the tokens, in nats, as `1`."""
        return F.cross_entropy(
            self.scores(**given).float(),
            targets,
            reduction="sum",
            label_smoothing=self.smoothing,
        )[None]


def taught(feature: Feature) -> tuple[list[int], list[int]]:
    """What the decoder reads of a target, and what is right there: the next token.

    It is told what it should have written, whatever it would have (teacher forcing).

    >>> taught(Feature(0, [2, 9, 3], [], [], [2, 7, 8, 3]))
    ([2, 7, 8], [7, 8, 3])
    """
    return feature.targets[:-1], feature.targets[1:]


class WrittenTarget(NamedTuple):
    """What was written, and how likely: the score of `Generated`.

    That is the sum of the log-probabilities of its tokens, the one that ends it
    included; with beams divided by length ** length_penalty.
    """

    text: str
    score: float

    @property
    def plain(self) -> str:
        """What scores compare."""
        return self.text


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
    errors = metrics_library("torchmetrics.functional.text").word_error_rate
    chrf = metrics_library("sacrebleu").corpus_chrf
    truth = [" ".join(split_words(row.target, lowercase=True)) for row in rows]
    guessed = [" ".join(split_words(guess, lowercase=True)) for guess in guesses]
    same = sum(a == b for a, b in zip(guessed, truth, strict=True))
    return {
        "chrf": chrf(guessed, [truth]).score / 100,
        "exact": same / len(rows),
        "word_error_rate": float(errors(guessed, truth)),
    }


class Writing(Task):
    """A text that is to be written for another.

    How a model writes is its setting `search`, by default the likeliest token each
    time, and as many as `FeatureSettings.target` allows; the first and the last token
    are those of the tokenizer.
    """

    name = "writing"
    row = Source
    right = "target"
    main = "chrf"
    families = "bert", "encoder-decoder"
    settings = ("search",)
    usual = _USUAL
    needed = ("target", "search")
    counted = "nearest row"
    metrics = staticmethod(written_scores)
    majority = staticmethod(baselines.most_frequent)
    bag_of_words = staticmethod(baselines.nearest)

    def from_dict(self, mapping: Mapping[str, Any]) -> Source:
        return Source(field(mapping, "text"), mapping.get("target"))

    def from_line(self, line: str, context: str | None = None) -> Source:
        return Source(*fields_of(line, 1, 1))

    def example(self, settings: Settings) -> str:
        return "Some text."

    def faults(
        self, row: Source, labels: Labels | None, labelled: bool
    ) -> Iterator[str]:
        yield from text_faults(row.text, "the text")
        if labelled and row.target is None:
            yield "no target; give what is to be written, or leave the row out"
        elif labelled:
            yield from text_faults(row.target, "the target")

    def unlabelled(self, given: Any, settings: Settings) -> Source:
        text = given.text if isinstance(given, Source) else given
        if isinstance(text, str):
            return Source(text)
        raise ValueError("a text")

    def key(self, row: Source) -> str:
        return normal(row.text)

    def features(
        self, rows: Sequence[Source], reading: FeatureSettings, labels: Labels = ()
    ) -> Iterator[Feature]:
        """A text each, and what is to be written for it; each is cut if it is too long.

        Raises:
            ValueError: if the special tokens leave no room for a piece of the target.
        """
        tokenizer, most = reading.tokenizer, reading.target
        if most < 3:
            raise ValueError(
                f"target={most} leaves no room for a piece beside [CLS] and [SEP]; "
                "give 3 or more"
            )
        for row, (text, target) in enumerate(rows):
            first = tokenizer.encode(text, max_length=reading.length)
            known = target is not None
            targets = tokenizer.encode(target, max_length=most) if known else []
            yield Feature(row, first, [], [], targets)

    def inputs(self, features: Sequence[Feature], pad_id: int) -> dict[str, Tensor]:
        sources = [[*feature.first, *feature.second] for feature in features]
        read = [taught(feature)[0] for feature in features]
        sizes = [max(map(len, pair)) for pair in zip(sources, read, strict=True)]
        row = least_padding(sizes, ROW)
        batch, _, places = packed_pairs(sources, read, pad_id, row)
        width = batch["decoder_input_ids"].shape[1]
        asked = [n + row * width for row, *ends in places for n in range(*ends)]
        return {**batch, "asked": torch.tensor(asked)}

    def targets(self, features: Sequence[Feature]) -> Tensor:
        """The next token at each that the decoder reads, `t`."""
        return torch.tensor([id for feature in features for id in taught(feature)[1]])

    def sizes(self, features: Sequence[Feature]) -> Tensor:
        """The tokens of each source, and of what is read of its target, `n 2`."""
        return torch.tensor([[f.size, len(taught(f)[0])] for f in features])

    # The model

    def objective(self, model: Any, smoothing: float = 0, pool: str = "") -> nn.Module:
        return WritingObjective(model, smoothing)

    def check_model(self, model: Pretrained) -> None:
        if not isinstance(model, EncoderDecoder):
            raise ValueError(
                f"{an(type(model))} cannot do {self.name!r}; give {an(EncoderDecoder)}"
            )

    def check_fit(
        self, model: EncoderDecoder, reading: FeatureSettings, labels: Labels
    ) -> None:
        super().check_fit(model, reading, labels)
        check_length("target", reading.target, "decoder", self.positions(model)[1])

    def build(self, weights: Weights, labels: Labels, tied: bool = False) -> Pretrained:
        """An encoder-decoder; a BERT becomes both of its parts."""
        if isinstance(weights, Pretrained):
            self.check_model(weights)
        model = started(weights, tied)
        if tied and not model.tied:
            raise ValueError(
                "tied=True, but these are the weights of an encoder-decoder whose "
                "parts share nothing; leave tied out, or start from a BERT"
            )
        return model

    def load(self, folder: str | Path) -> Pretrained:
        return EncoderDecoder.from_pretrained(folder)

    def freeze(self, model: EncoderDecoder, frozen: bool) -> None:
        """A frozen encoder, or one to which no decoder attends, does not learn."""
        if frozen or not model.decoder.cross:
            written = set(model.decoder.parameters()) if not frozen else set()
            for parameter in set(model.encoder.parameters()) - written:
                parameter.requires_grad_(False)

    def check_tuning(self, tuning: Any) -> None:
        super().check_tuning(tuning)
        if tuning.rank is not None:
            raise ValueError(
                f"rank={tuning.rank} for writing, but low-rank changes are for models "
                "with one body; leave rank out, perhaps with frozen=True, where only "
                "the decoder learns"
            )

    def positions(self, model: EncoderDecoder) -> tuple[int, int]:
        return model.config.max_positions, model.decoder.config.max_positions

    # Settings

    def complete(
        self, given: Settings, reading: FeatureSettings, labels: Labels
    ) -> Settings:
        settings = super().complete(given, reading, labels)
        # [CLS] is there already.
        search = settings["search"] or Search(max_tokens=reading.target - 1)
        tokenizer = reading.tokenizer
        ids = {"start_id": tokenizer.cls_id, "stop_id": tokenizer.sep_id}
        return {**settings, "search": search.replace(**ids)}

    def to_json(self, settings: Settings) -> dict[str, Any]:
        how = asdict(settings["search"])
        return {**settings, "search": {n: how[n] for n in how if n not in _IDS}}

    def from_json(self, about: Mapping[str, Any]) -> Settings:
        search = about["search"]
        try:
            return {**super().from_json(about), "search": Search().replace(**search)}
        except (TypeError, ValueError) as error:
            raise ValueError(f"search: {error}") from error

    def publish(self, folder: Path, fitted: Fitted) -> None:
        write_generation(folder, fitted.settings["search"], fitted.reading.tokenizer)

    # Answers

    def outputs(
        self, fitted: Fitted, features: Sequence[Feature]
    ) -> list[WrittenTarget]:
        """What is written for each: sources of about the same length together."""
        search, tokenizer = fitted.settings["search"], fitted.reading.tokenizer
        outputs: dict[int, WrittenTarget] = {}
        sizes = [(f.size + search.max_tokens) * search.beams for f in features]
        for numbers in batches(sizes, ROOM):
            some = [(features[n].first, features[n].second) for n in numbers]
            batch = on_device(padded(some, tokenizer.pad_id), fitted.objective)
            written = generate(fitted.objective.model, batch, search)
            for n, (ids, score, _) in zip(numbers, written, strict=True):
                text = tokenizer.decode(ids, skip_special_tokens=True)
                outputs[n] = WrittenTarget(text, score)
        return [outputs[n] for n in range(len(features))]

    def answers(
        self, rows: Sequence[Source], scored: Scored, fitted: Fitted
    ) -> list[WrittenTarget]:
        return [written for _, written in scored]

    def shown(self, row: Source, answer: WrittenTarget) -> str:
        return answer.text

    def as_object(self, row: Source, answer: WrittenTarget) -> dict[str, Any]:
        return {"text": row.text, "written": answer.text, "score": answer.score}


def started(weights: Weights, tied: bool) -> Any:
    """The model of weights, or one of which both parts start from them; see `build`."""
    if isinstance(weights, Pretrained):
        return weights
    if isinstance(weights, BertConfig):
        if type(weights) is not BertConfig:
            raise ValueError(
                f"a {type(weights).__name__} is not a BERT's, and for writing only a "
                "BERT becomes encoder and decoder; give a BERT"
            )
        return EncoderDecoder(weights, tied=tied)
    published = read_json(find_file(weights, "config.json"))
    if published.get("model_type") == "encoder-decoder":
        return EncoderDecoder.from_pretrained(weights)
    return EncoderDecoder.from_bert(weights, tied=tied)


def write_generation(folder: Path, search: Search, tokenizer: Tokenizer) -> None:
    """What transformers writes with: `generation_config.json`, and ids in the config.

    Its `generate` then gives the same tokens as ours; but where they are drawn, it
    draws others.
    """
    ids = {
        "decoder_start_token_id": tokenizer.cls_id,
        "eos_token_id": tokenizer.sep_id,
        "pad_token_id": tokenizer.pad_id,
    }
    update_config(folder, **ids)
    how: dict[str, Any] = {
        "max_new_tokens": search.max_tokens,
        "num_beams": search.beams,
        "length_penalty": search.length_penalty,
        "do_sample": search.temperature > 0,
    }
    if search.temperature:
        how["temperature"] = search.temperature
        how["top_k"] = search.top_k or 0
        how["top_p"] = 1.0 if search.top_p is None else search.top_p
    write_json(folder / "generation_config.json", {**ids, **how})
