"""Place: where a fine-tuned model is written, and where its first weights come from.

task.json, config.json, model.safetensors, vocab.txt, …   what transformers loads, too
card.json     what ran, and what came out
faults.txt    the rows that were left out, if there are any
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bertcore.command.run import MODEL, RUN
from bertcore.model.config import BertConfig
from bertcore.sources import OUR_MODEL, find_file, read_json
from bertcore.text.library_tokenizer import AnyTokenizer, load_tokenizer
from bertcore.text.rows import TaskSet
from bertcore.text.sounds import sounds_tokenizer
from bertcore.training.families import config_from
from bertcore.training.finetune import CARD
from bertcore.training.scores import score
from bertcore.training.taskfile import TASK

FAULTS = "faults.txt"
# Sets whose texts are not English, as the vocabularies of published models are.
OWN_PIECES = {"sounds": sounds_tokenizer}
_POSITIONS = 64  # of the small model that learns them, if no other is given


class Start(NamedTuple):
    """What `FineTuning` starts from, what it is called, and what to say of it."""

    weights: str | BertConfig
    tokenizer: AnyTokenizer
    name: str
    note: str = ""


def check_place(folder: Path, model: str | None) -> None:
    """A new folder, or one with an earlier result, which is replaced.

    Raises:
        ValueError: if there is something else, or it is where the weights come from.
    """
    if model is not None and folder.resolve() == Path(model).expanduser().resolve():
        raise ValueError(
            f"--out {folder} is the folder of --model, too; give another name"
        )
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    earlier = {TASK, CARD} <= held
    if folder.is_file() or (held - {FAULTS} and not earlier):
        raise ValueError(
            f"{folder} holds something else than an earlier bertcore finetune; give a "
            "new --out"
        )


def write_faults(folder: Path, faults: Sequence[str]) -> None:
    """Make the folder, with the faults of this run's rows and of no other's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAULTS).unlink(missing_ok=True)
    if faults:
        text = "".join(f"{fault}\n" for fault in faults)
        (folder / FAULTS).write_text(text, encoding="utf8", newline="\n")


def start_of(task: str, model: str | None, random: bool) -> Start:
    """Weights, or only the sizes of their model.

    A task with pieces of its own has them where weights are random.

    Args:
        task: its name, or a path.
        model: a run of `bertcore pretrain`, a model's folder or a hub name; by default
            ours, or for a task with pieces of its own a small one of random weights.
        random: whether its weights are left behind.

    Raises:
        FileNotFoundError: if there is no such model, or the run has not ended.
        ValueError: if it is of no family that bertcore reads, or an encoder-decoder
            with `random`.
    """
    own = OWN_PIECES[task]() if task in OWN_PIECES else None
    if model is None and own is not None:
        sizes = {"vocab_size": len(own), "max_positions": _POSITIONS}
        config = BertConfig.preset("tiny", **sizes)
        note = (
            f"{task} has {len(own)} pieces of its own, which no published model knows; "
            f"so this starts from random weights, {config.layers} layers to read and "
            f"{config.layers} to write, {config.hidden_size} wide"
        )
        return Start(config, own, "random weights", note)
    name = model or OUR_MODEL
    weights = _of_run(name)
    published = read_json(find_file(weights, "config.json"))
    two = published.get("model_type") == "encoder-decoder"
    if two and random:
        raise ValueError(
            f"--random takes the sizes of one BERT, and {name} is an encoder-decoder; "
            "give --model a BERT, or leave --random out"
        )
    # Of its own family, as in Python: a RoBERTa has other tables and other pieces.
    config = None if two else config_from(published)
    tokenizer = load_tokenizer(weights)
    if not random:
        return Start(weights, tokenizer, name)
    if own is not None:
        tokenizer, config = own, config.replace(vocab_size=len(own))
    return Start(config, tokenizer, f"{name}, random weights")


def _of_run(model: str) -> str:
    """The model of a run of `bertcore pretrain`; any other is itself."""
    folder = Path(model).expanduser()
    if (folder / RUN).is_file():
        if not (folder / MODEL).is_dir():
            raise FileNotFoundError(
                f"the run {model} has not ended; write its model first: bertcore "
                f"export {model} FOLDER, then give --model FOLDER"
            )
        model = str(folder / MODEL)
    return model


def check_scores(data: TaskSet) -> None:
    """Count once before the long work, so that a missing library shows at once.

    Raises:
        FileNotFoundError: naming the library.
    """
    for row in (*data.valid, *data.test)[:1]:
        guesses = {"tagging": "tags", "answers": "question", "writing": "target"}
        score(data.kind, [row], [getattr(row, guesses.get(data.kind, "label"))])
