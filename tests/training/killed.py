"""A run that is killed: `python -m tests.training.killed FOLDER`.

It trains with Muon and AdamW, dropout and a growing batch, prints each step and at
last the digest of the weights. With a second argument it starts one life of the run, a
process of its own, for each line of input: a life may make as many updates as the line
says, and then waits for its end. All that a life has from before is `import torch`.
"""

import os
import sys
import time

import torch

STEPS = 64


def live(folder: str, most: int = STEPS + 1) -> None:
    from tests.training.small import digest, recipe, run

    sizes = {"dropout": 0.1, "attention_dropout": 0.1}
    changes = {"batch": 8, "optimiser": "muon", "ramp": 0.5}
    here = run(recipe(steps=STEPS, **changes), folder, sizes)
    for made, record in enumerate(here.records(), 1):
        print(record.step, flush=True)
        if made == most:
            time.sleep(600)
    print(digest(here.model), flush=True)


def live_again_and_again(folder: str) -> None:
    for line in sys.stdin:
        life = os.fork()
        if not life:
            live(folder, int(line))
            os._exit(0)
        print("life", life, flush=True)
        _, status = os.waitpid(life, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    import torch._dynamo  # an optimiser does, too, and it takes two seconds

    torch.set_num_threads(1)
    (live_again_and_again if sys.argv[2:] else live)(sys.argv[1])
