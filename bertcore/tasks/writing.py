"""Writing: a target text for a source, by an encoder and a decoder (chapter 7)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.encoder_decoder import EncoderDecoder
from bertcore.tasks.rows import Source
from bertcore.tasks.task import Feature, FeatureSettings, metrics_library
from bertcore.text.batch import ROW, least_padding, packed_pairs
from bertcore.text.characters import split_words


def writing_features(
    rows: Sequence[Source], reading: FeatureSettings, labels: Sequence[str] = ()
) -> Iterator[Feature]:
    """A text each, and what is to be written for it; each is cut if it is too long.

    Raises:
        ValueError: if the special tokens leave no room for a piece of the target.
    """
    tokenizer, most = reading.tokenizer, reading.target
    if most < 3:
        raise ValueError(
            f"target={most} leaves no room for a piece beside [CLS] and [SEP]; give 3 "
            "or more"
        )
    for row, (text, target) in enumerate(rows):
        first = tokenizer.encode(text, max_length=reading.length)
        targets = [] if target is None else tokenizer.encode(target, max_length=most)
        yield Feature(row, first, [], [], targets)


class WrittenTarget(NamedTuple):
    """What was written, and how likely: the score of `Generated`.

    That is the sum of the log-probabilities of its tokens, the one that ends it
    included; with beams divided by length ** length_penalty.
    """

    text: str
    score: float


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
    found = [" ".join(split_words(guess, lowercase=True)) for guess in guesses]
    same = sum(a == b for a, b in zip(found, truth, strict=True))
    return {
        "chrf": chrf(found, [truth]).score / 100,
        "exact": same / len(rows),
        "word_error_rate": float(errors(found, truth)),
    }


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


def writing_inputs(features: Sequence[Feature], pad_id: int) -> dict[str, Tensor]:
    """Features, packed: the arguments of `WritingObjective.scores`."""
    sources = [[*feature.first, *feature.second] for feature in features]
    read = [taught(feature)[0] for feature in features]
    sizes = [max(map(len, pair)) for pair in zip(sources, read, strict=True)]
    row = least_padding(sizes, ROW)
    batch, _, places = packed_pairs(sources, read, pad_id, row)
    width = batch["decoder_input_ids"].shape[1]
    asked = [n + row * width for row, *ends in places for n in range(*ends)]
    return {**batch, "asked": torch.tensor(asked)}


def next_tokens(features: Sequence[Feature]) -> Tensor:
    """What is right at the places asked of, `t`."""
    return torch.tensor([id for feature in features for id in taught(feature)[1]])


def writing_sizes(features: Sequence[Feature]) -> Tensor:
    """The tokens of each source and of what the decoder reads of its target, `n 2`."""
    return torch.tensor([[f.size, len(taught(f)[0])] for f in features])
