"""A run that is killed: `python -m tests.training.killed KIND FOLDER`.

It pretrains with Muon and AdamW, dropout and a growing batch, or it fine-tunes; it
prints each step and at last the digest of the weights. With a third argument it starts
one life of the run, a process of its own, for each line of input: a life may make as
many updates as the line says, and then waits for its end. All that a life has from
before is `import torch`.
"""

import os
import sys
import time

import torch

STEPS = 64


def pretraining(folder: str):
    from tests.training.small import recipe, run

    sizes = {"dropout": 0.1, "attention_dropout": 0.1}
    changes = {"batch": 8, "optimiser": "muon"}
    return run(recipe(steps=STEPS, **changes), folder, sizes)


def finetuning(folder: str):
    from bertcore.tasks.rows import TaskSet, Text
    from bertcore.text.tales import tales
    from bertcore.training.finetuning import FineTuning
    from bertcore.training.recipe import Tuning
    from tests.training.small import CPU, config, tokenizer

    rows = [Text(" ".join(tale[:2]), len(tale) / 9) for tale in tales(80)]
    data = TaskSet("tales", "regression", (), rows[:64], rows[64:], [], "", "")
    tuning = Tuning(epochs=STEPS / 8, batch=8, length=32, learning_rate=1e-3)
    options = {"settings": CPU, "tokenizer": tokenizer(), "save_every": 0.0}
    return FineTuning(data, config(dropout=0.1), tuning, folder, **options)


KINDS = {"pretraining": pretraining, "finetuning": finetuning}


def live(kind: str, folder: str, most: int = STEPS + 1) -> None:
    from tests.training.small import digest

    here = KINDS[kind](folder)
    for made, record in enumerate(here.records(), 1):
        print(record.step, flush=True)
        if made == most:
            time.sleep(600)
    print(digest(here.model), flush=True)


def live_again_and_again(kind: str, folder: str) -> None:
    for line in sys.stdin:
        life = os.fork()
        if not life:
            live(kind, folder, int(line))
            os._exit(0)
        print("life", life, flush=True)
        _, status = os.waitpid(life, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    import torch._dynamo  # an optimiser does, too, and it takes two seconds

    torch.set_num_threads(1)
    (live_again_and_again if sys.argv[3:] else live)(*sys.argv[1:3])
