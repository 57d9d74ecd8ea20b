"""Place: where a fine-tuned model is written, and where its first weights come from.

task.json, config.json, model.safetensors, vocab.txt, …   what transformers loads, too
card.json     what ran, and what came out
faults.txt    the rows that were left out, if there are any
"""

from collections.abc import Sequence
from pathlib import Path

from bertcore.command.run import MODEL, RUN
from bertcore.model.config import BertConfig
from bertcore.text.rows import TaskSet
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.finetune import CARD
from bertcore.training.predict import TASK
from bertcore.training.scores import score

FAULTS = "faults.txt"


def check_place(folder: Path, model: str) -> None:
    """A new folder, or one with an earlier result, which is replaced.

    Raises:
        ValueError: if there is something else, or it is where the weights come from.
    """
    if folder.resolve() == Path(model).expanduser().resolve():
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


def start_weights(model: str, random: bool) -> tuple[str | BertConfig, Tokenizer]:
    """What `FineTuning` starts from: weights, or only the sizes of their model.

    Args:
        model: a run of `bertcore pretrain`, a model's folder or a hub name.
        random: whether its weights are left behind.

    Raises:
        FileNotFoundError: if there is no such model, or the run has not ended.
    """
    folder = Path(model).expanduser()
    if (folder / RUN).is_file():
        if not (folder / MODEL).is_dir():
            raise FileNotFoundError(
                f"the run {model} has not ended; write its model first: bertcore "
                f"export {model} FOLDER, then give --model FOLDER"
            )
        model = str(folder / MODEL)
    config, tokenizer = (
        BertConfig.from_pretrained(model),
        Tokenizer.from_pretrained(model),
    )
    return (config if random else model), tokenizer


def check_scores(data: TaskSet) -> None:
    """Count once before the long work, so that a missing library shows at once.

    Raises:
        FileNotFoundError: naming the library.
    """
    for row in (*data.valid, *data.test)[:1]:
        guesses = {"tagging": "tags", "answers": "question"}
        score(data.kind, [row], [getattr(row, guesses.get(data.kind, "label"))])
