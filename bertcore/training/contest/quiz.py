"""Quiz: the fixed questions about held-out English that a speedrun is asked.

The texts are those that `bertcore.text.english` holds out. They are cut into the 8,192
pieces that `bertcore prepare --texts english` learns, and into windows of 128 tokens;
512 windows are drawn, and in each 15 % of the pieces are hidden, always the same ones.
Other pieces would make other questions: who spells is asked for single letters, which
is easier. So these are for all.
"""

from hashlib import sha256

from torch import nn

from bertcore.model.config import BertConfig
from bertcore.text.examples import window_examples
from bertcore.text.store import Store, vocabulary_digest
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.evaluate import HeldOut
from bertcore.training.identity import data_digest
from bertcore.training.prepared import Prepared

LENGTH, WINDOWS = 128, 512
PREPARE = "bertcore prepare --texts english --out english"
# SHA-256 of the vocabulary, of the held-out ids, and of the questions.
DIGESTS = {
    "vocabulary": "68d336b359cde10f9b79281bd45f9e5b0184719f2ffa4acae94a629f53ba8675",
    "held_out": "d23e834055f8527c4e7bd6a704c3aa936261b089610b92ff2d6b163e53d568bb",
    "questions": "ad2e4d6f94682b2c96a1de21604711c1f1ab3462f6e263f3316d2e42d3b30068",
}
# Of the texts to train on that are prepared with it.
PACKAGED = "fb94c17e1ccaae2ae1ff0b10679c63439c47653ea9363553a352322aa1c9cae7"


def quiz(prepared: Prepared) -> HeldOut:
    """The questions.

    Raises:
        ValueError: if these are not the texts.
    """
    found = _digests(prepared)
    apart = [name for name in DIGESTS if found.get(name) != DIGESTS[name]]
    if apart:
        raise ValueError(
            f"these texts have another {' and '.join(apart)} than the quiz; make them "
            f"with: {PREPARE}"
        )
    return _questions(prepared.tokenizer, prepared.held_out)


def check_reads(model: nn.Module) -> None:
    """ValueError if a model cannot read a question."""
    if model.config.max_positions < LENGTH:
        raise ValueError(
            f"the model has {model.config.max_positions} positions, and the questions "
            f"{LENGTH} tokens; give a model with as many"
        )


def digests(prepared: Prepared) -> dict[str, str]:
    """Those of the quiz, and of the texts to train on as `data`."""
    return {**_digests(prepared), "data": data_digest(prepared.train)}


def _digests(prepared: Prepared) -> dict[str, str]:
    if prepared.held_out is None:
        return {}
    asked, store = sha256(), prepared.held_out
    for work in _questions(prepared.tokenizer, store).works:
        for name in ("input_ids", "asked", "labels"):
            asked.update(work.arguments[name].numpy().tobytes())
    return {
        "vocabulary": vocabulary_digest(prepared.tokenizer),
        "held_out": sha256(store.ids.astype("<u4").tobytes()).hexdigest(),
        "questions": asked.hexdigest(),
    }


def _questions(tokenizer: Tokenizer, store: Store) -> HeldOut:
    config = BertConfig(vocab_size=len(tokenizer))  # counts operations: of no interest
    windows = window_examples(store, LENGTH)
    return HeldOut(store, windows, tokenizer, config, most=WINDOWS)
