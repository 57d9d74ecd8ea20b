"""What does rounding to 8 bits cost the live model, and how quick is it in a browser?

    python benchmarks/live.py                          print a table
    python benchmarks/live.py --card FILE.json         and record the run

`english-mini` with the weights of the page (tools/live.py) beside its own. Rounding:
windows of held-out English texts, 15 % of whose pieces are hidden behind [MASK]; the
mean loss in nats, the share whose likeliest prediction is right, and the share for
which both models have the same likeliest prediction. Speed: in Chromium, from a server
on the same machine, in a new browser for each round: seconds from the press of a button
to the loaded model, and to the first filled gap; then seconds for a text of 16 tokens
again, and for two sentences beside each other. Memory: of the process that shows the
page, before the model is loaded and at most, as Linux counts it.
"""

import os
import random
import shutil
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from measure import all_cores, options, record, spread
from playwright.sync_api import Page, sync_playwright
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the book's own tools

from bertcore import BertForMaskedLM, Tokenizer
from bertcore.sources import OUR_MODEL
from bertcore.text.corpora import english
from tools import live
from tools.serve import Quiet

WINDOW, WINDOWS, RATE, SEED = 128, 400, 0.15, 0
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FILL = "The river flows down from the old mountains and into the ___ of"  # 16 tokens
SHOWN = "() => {let n = 0; for (const e of document.querySelectorAll('.bertcore-live"
SHOWN += " [role=status]')) n += e.innerText.includes('in your browser'); return n}"


# Rounding ----------------------------------------------------------------------------


def windows(tokenizer: Tokenizer) -> Tensor:
    """Pieces of held-out documents, drawn at random, all of one length, `b s`."""
    draw = random.Random(SEED)
    documents = english(held_out=True)
    found = []
    for document in draw.sample(documents, len(documents)):
        ids = tokenizer.encode(document.text)[1:-1]
        if len(ids) >= WINDOW - 2:
            start = draw.randrange(len(ids) - WINDOW + 3)
            ids = ids[start : start + WINDOW - 2]
            found.append([tokenizer.cls_id, *ids, tokenizer.sep_id])
        if len(found) == WINDOWS:
            break
    return torch.tensor(found)


@torch.inference_mode()
def rounding() -> dict[str, float]:
    """Loss, accuracy and agreement of the model's own weights and of the rounded."""
    tokenizer = Tokenizer.from_pretrained(OUR_MODEL)
    models = {
        "float32": BertForMaskedLM.from_pretrained(OUR_MODEL),
        "int8": live.rounded_model(),
    }
    ids = windows(tokenizer)
    generator = torch.Generator().manual_seed(SEED)
    hidden = torch.rand(ids.shape, generator=generator) < RATE
    hidden[:, [0, -1]] = False
    shown = ids.masked_fill(hidden, tokenizer.mask_id)
    labels, sums, likeliest = ids[hidden], {}, {}
    for name, model in models.items():
        parts = []
        for batch, where in zip(shown.split(20), hidden.split(20), strict=True):
            states = model.bert(batch)[where]
            parts.append(model.mlm_head(states, model.bert.embeddings.token.weight))
        logits = torch.cat(parts)  # m v
        sums[name] = torch.nn.functional.cross_entropy(logits, labels).item()
        likeliest[name] = logits.argmax(-1)
    found = {"hidden pieces": len(labels)}
    for name in models:
        found[f"{name}: loss, nats"] = round(sums[name], 4)
        right = (likeliest[name] == labels).float().mean().item()
        found[f"{name}: share right"] = round(right, 4)
    same = (likeliest["int8"] == likeliest["float32"]).float().mean().item()
    found["same likeliest piece"] = round(same, 4)
    return found


# In a browser ------------------------------------------------------------------------


def resident(of: set[str], field: str) -> float:
    """MB of the largest of these processes: VmRSS now, or VmHWM at most."""
    found = [0.0]
    for process in of:
        try:
            lines = Path("/proc", process, "status").read_text().splitlines()
        except OSError:
            continue
        found += [int(line.split()[1]) / 1000 for line in lines if field in line]
    return max(found)


def renderers() -> set[str]:
    """The processes that show pages, of any Chromium on this machine."""
    found = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path("/proc", process, "cmdline").read_bytes()
        except OSError:
            continue
        if b"--type=renderer" in command:
            found.add(process)
    return found


def waited(page: Page, button: str, done: str, argument: int | None = None) -> float:
    """Seconds from a click to what it leads to."""
    start = time.monotonic()
    page.get_by_role("button", name=button).click()
    page.wait_for_function(done, arg=argument, polling=5)
    return time.monotonic() - start


def visits(folder: Path, rounds: int) -> Iterator[dict[str, float]]:
    """Each round in a new browser, which has nothing in its store."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise SystemExit("no Chromium: install one, such as Debian's chromium")
    handler = partial(Quiet, directory=folder)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with ThreadingHTTPServer(("localhost", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for _ in range(rounds):
            before = renderers()
            with sync_playwright() as driver:
                browser = driver.chromium.launch(
                    executable_path=program, args=arguments
                )
                page = browser.new_page()
                page.goto(f"http://localhost:{server.server_port}/index.html")
                yield one_visit(page, before)
                browser.close()
        server.shutdown()


def one_visit(page: Page, others: set[str]) -> dict[str, float]:
    """The figures of one round."""
    ours = renderers() - others
    found = {"memory before, MB": resident(ours, "VmRSS")}
    loaded = "() => document.body.innerText.includes('The model is loaded')"
    found["seconds to load"] = waited(page, "Load the model", loaded)
    page.get_by_label("A sentence with a gap").fill(FILL)
    page.evaluate(f"window.shown = {SHOWN}")
    found["seconds, first gap"] = waited(page, "Fill the gap", "() => shown() === 1")
    again = []
    for _ in range(5):
        clear = "e => (e.textContent = '')"
        page.locator(".bertcore-live").nth(1).get_by_role("status").evaluate(clear)
        again.append(waited(page, "Fill the gap", "() => shown() === 1"))
    found["seconds, 16 tokens again"] = sorted(again)[2]
    compared = waited(page, "Compare them", "() => shown() === 2")
    found["seconds, two sentences"] = compared
    found["memory at most, MB"] = resident(ours, "VmHWM")
    return found


def main() -> None:
    """Print both tables, and record them."""
    given = options("The live model: rounding, speed and memory.")
    results = rounding()
    for name, value in results.items():
        print(f"{name:46}{value:8}")
    rounds = defaultdict(list)
    with TemporaryDirectory() as folder, all_cores() as cores:
        live.write_page(Path(folder))
        for visit in visits(Path(folder), given.rounds):
            for name, value in visit.items():
                rounds[name].append(value)
    results |= spread(rounds)
    record(
        given.card,
        "The live model in 8 bits: loss and agreement beside float32 on held-out "
        "texts; in Chromium, seconds and memory: minimum, median, maximum of rounds",
        f"held-out texts of bertcore.text.corpora; weights {OUR_MODEL}",
        results,
        windows=WINDOWS,
        window=WINDOW,
        rate=RATE,
        seed=SEED,
        rounds=given.rounds,
        cores=cores,
    )


if __name__ == "__main__":
    main()
