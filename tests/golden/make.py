"""Make the goldens of tests/test_frozen.py: what the package computes, written down.

Run it by hand, from the root of the repository, and only when a result is meant to
change; say in the commit which one, and why:

    python -m tests.golden.make

A change that only moves code, renames it or tidies it leaves every golden as it is.
"""

import json
import platform
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bertcore import BertConfig, EncoderDecoder, Search, Tokenizer, generate
from bertcore.sources import ENCODER, OUR_MODEL
from bertcore.tasks.rows import Text
from bertcore.tasks.sets import topics
from bertcore.text.corpora import introductions
from bertcore.text.prepare import packaged
from bertcore.training.finetuning import FineTuning
from bertcore.training.loop import ComputeSettings
from bertcore.training.recipe import PLANS, Tuning
from bertcore.training.run import start_run

FOLDER = Path(__file__).parent
CPU = ComputeSettings(torch.device("cpu"))
UPDATES = 20
BLOCK = 50  # texts under one digest
LABELS = "Biology and health sciences", "Geography", "People"

# Letters, marks and signs that all versions of Unicode since 6.0 (2010) know alike, so
# that the texts' ids do not depend on the version of Python.
SCRIPTS = {
    "latin": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "accents": "àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßÀÉÎÕÜÇÑØłŁőŐşŞğİıžŽǖǗ\u0301\u0308\u0323",
    "greek": "αβγδεζηθικλμνξοπρστυφχψωςΑΒΓΔΣΦΩάέήίόύώΐ",
    "cyrillic": "абвгдежзийклмнопрстуфхцчшщъыьэюяЁёЙЖЩЮЯіїєґ",
    "chinese": "東京日本首都中文可以的一是了我不人在他有㐀䶿豈〇々，。「」\U00020000",
    "kana": "あいうえおかきくけこアイウエオガギグゲゴパピプー゛",
    "hangul": "한국어텍스트조합가나다라마바사",
    "devanagari": "हिन्दीमेंलिखाहुआअइउकखगघ़्",
    "arabic": "العربيةابتثجحخدذرزسش\u064b\u0651",
    "hebrew": "עבריתאבגדה\u05b0\u05bc",
    "thai": "ภาษาไทยกขคงจฉช\u0e31\u0e48",
    "emoji": "😀👍❤☃✈🏳🌈👩👨👧\u200d\ufe0f",
    "signs": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~–—…«»“”‘’€£°²½™§¶",
    "digits": "0123456789.,:/-+",
    "control": "\x00\x07\x1b\x7f\x85\u200b\u2028\u2029\ufeff\ufffd\t\n\r\u00a0\u3000",
}
MADE_UP = [
    "",
    " \t\r\n\u3000\u00a0 ",
    "Unbelievable! It's the U.S.A., isn't it?",
    "İstanbul, ΣΟΦΟΣ, ﬁne ﬂuid, e\u0301 \u0301orphan, ½ ²",
    "[CLS] a text that says [SEP] and [MASK] [PAD] [UNK] ##land",
    "東京は日本の首都です。한국어 हिन्दी ภาษาไทย العربية",
    "emoji 👩‍👩‍👧 🏳️‍🌈 two😀😀, zero\u200bwidth, null\x00, bell\x07",
    "x" * 100 + " " + "x" * 200 + " " + "x" * 201 + " " + "ab" * 99,
    "http://example.org/?a=b&c=d#e user@example.org 1,000,000.5 snake_case",
    "half a pair \ud800 of surrogates",
]


# Texts to ids ------------------------------------------------------------------------


def texts() -> list[str]:
    """A thousand: made up by hand, made up at random, and real ones."""
    rng = random.Random(0)
    found = [*MADE_UP, *(_nonsense(rng) for _ in range(490))]
    return found + [document.text for document in introductions().documents[::20][:500]]


def _nonsense(rng: random.Random) -> str:
    """Words of one to forty characters, each of one script or of all together."""
    words = []
    for _ in range(rng.randint(1, 12)):
        script = rng.choice([*SCRIPTS.values(), "".join(SCRIPTS.values())])
        length = rng.choice([1, 2, 3, 5, 8, 13, 40])
        words.append("".join(rng.choice(script) for _ in range(length)))
    return rng.choice([" ", "  ", "", "\n"]).join(words)


def ids() -> dict[str, Any]:
    """Of the packaged vocabulary and of our own: digests, and the first ten in full."""
    some = texts()
    content = [text.encode("utf8", "surrogatepass") for text in some]
    found: dict[str, Any] = {"texts": _digests(content)}
    for name in (ENCODER, OUR_MODEL):
        tokenizer = Tokenizer.from_pretrained(name)
        rows = [tokenizer.encode(text) for text in some]
        digests = _digests(
            [np.array(row, dtype="<i8").tobytes() + b";" for row in rows]
        )
        found[name] = {"first": rows[: len(MADE_UP)], "digests": digests}
    return found


def _digests(parts: Sequence[bytes]) -> list[str]:
    blocks = (parts[n : n + BLOCK] for n in range(0, len(parts), BLOCK))
    return [sha256(b"".join(block)).hexdigest() for block in blocks]


# Pretraining -------------------------------------------------------------------------


def updates() -> dict[str, Any]:
    """The first updates of the plan `minute`, and what it knows of held-out texts."""
    with one_thread():
        plan, prepared = PLANS["minute"], packaged("tales")
        recipe = plan.recipe.replace(steps=UPDATES)
        config = plan.config(len(prepared.tokenizer))
        run = start_run(prepared, recipe, config, settings=CPU, evaluations=1)
        losses = [record.losses for record in run.records()]
    return {
        "machine": machine(),
        "losses": [[loss.hex() for loss in each] for each in losses],
        "weights": digest(run.model),
        "held out": [list(at.quality) for at in run.evaluations],
    }


def digest(module: nn.Module) -> str:
    """One SHA-256 of all weights in their order, whatever they are called."""
    found = sha256()
    for value in module.parameters():
        found.update(value.detach().numpy().tobytes())
    return found.hexdigest()


def machine() -> dict[str, str]:
    """All that the last bits of a sum depend on."""
    return {
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
        "processor": _processor(),
        "threads": "1",
    }


def _processor() -> str:
    """Its name; a virtual machine's says little, so the family and model, too."""
    told = Path("/proc/cpuinfo")
    if not told.is_file():
        return platform.processor()
    first = told.read_text().split("\n\n")[0]
    lines = (line.partition(":") for line in first.split("\n"))
    about = {name.strip(): value.strip() for name, _, value in lines}
    wanted = "model name", "cpu family", "model", "stepping"
    return ", ".join(about[name] for name in wanted if name in about)


@contextmanager
def one_thread() -> Iterator[None]:
    """More threads add in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# Fine-tuning -------------------------------------------------------------------------


def finetuning() -> dict[str, Any]:
    """The scores of a short run, its losses, and what it says of some rows.

    It stops while the model is still unsure: then its shares tell more.
    """
    data = topics()
    few = data._replace(
        labels=LABELS,
        train=_some(data.train, 192),
        valid=_some(data.valid, 48),
        test=_some(data.test, 96),
    )
    tuning = Tuning(epochs=1, batch=8, length=24, learning_rate=6e-4, warmup=0.2)
    with one_thread():
        run = FineTuning(few, OUR_MODEL, tuning, settings=CPU).run()
        guesses = run.predictor.predict(few.test[:12])
        scores = run.score(few.test)
    return {
        "losses": [round(loss, 6) for loss in run.losses],
        "scores": {name: round(score, 4) for name, score in scores.items()},
        "predictions": [[g.label, round(g.probability, 5)] for g in guesses],
    }


def _some(rows: list[Text], count: int) -> list[Text]:
    return [row for row in rows if row.label in LABELS][:count]


# Writing -----------------------------------------------------------------------------


def writing() -> dict[str, Any]:
    """What an encoder-decoder of large random weights writes, greedily and with beams.

    In double precision, so that no machine takes one token for another.
    """
    config = BertConfig(
        vocab_size=37,
        hidden_size=24,
        layers=2,
        heads=3,
        feedforward_size=40,
        max_positions=24,
    )
    model = EncoderDecoder(config, config.replace(layers=3, heads=2))
    _enlarge(model)
    model.double().eval()
    lengths = torch.tensor([9, 3, 6, 1])
    mask = (torch.arange(9) < lengths[:, None]).long()
    source = torch.from_numpy(np.random.RandomState(1).randint(5, 37, (4, 9))) * mask
    batch = {"input_ids": source, "attention_mask": mask}
    found = {}
    for name, beams in (("greedy", 1), ("beams", 4)):
        search = Search(max_tokens=20, beams=beams, start_id=2, stop_id=3)
        with one_thread():
            written = generate(model, batch, search)
        found[name] = [[text.ids, round(text.score, 6), text.ended] for text in written]
    return found


def _enlarge(model: nn.Module) -> None:
    """Weights under which texts differ, end early or late, and beams disagree.

    With weights of one size a model says the same token for ever.
    """
    rng = np.random.RandomState(0)
    sizes = {"position": 2.0, "embeddings": 1.0, ".cross.": 0.15, "mlm_head": 0.15}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            size = next((sizes[part] for part in sizes if part in name), 0.1)
            size = 0.1 if parameter.dim() == 1 else size
            parameter.copy_(torch.from_numpy(rng.normal(0, size, parameter.shape)))
            if "norm.weight" in name:
                parameter.fill_(0.4 if "mlm_head" in name else 1.0)
            if name.endswith("mlm_head.bias"):
                parameter[3] += 3.0  # some texts end


GOLDENS = {
    "ids": ids,
    "updates": updates,
    "finetuning": finetuning,
    "writing": writing,
}


def read(name: str) -> dict[str, Any]:
    """A golden from its file."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf8"))


def write(name: str, found: dict[str, Any]) -> None:
    """A golden into its file."""
    text = json.dumps(found, indent=1)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf8", newline="\n")


if __name__ == "__main__":
    for name, compute in GOLDENS.items():
        write(name, compute())
