"""When does a deep stack need warm-up? Starts, orders of the norm, learning rates.

    python benchmarks/depth.py                    print a table
    python benchmarks/depth.py --card FILE.json   and record the run
    python benchmarks/depth.py --more ...         other settings: see MORE

Twelve narrow layers learn to name the letter one place before, from three seeds for
each setting, on one core. A run's row: the mean loss of its last ten updates (blind
guessing: ln 16 = 2.77), how alike any two tokens have become (their mean cosine), and
the gradient of the first layer beside that of the last (both in the last update). The
last part is the gradient of the first and the last layer of a stack of BERT-base's
size, before any update. MORE asks what GRID leaves open: a warm-up over most of the
run, three times the updates, and more seeds where three seeds differ.
"""

import argparse
import os
from functools import partial
from itertools import product
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from bertcore.cards import make_card, write_card
from bertcore.model.config import BertConfig
from bertcore.model.encoder import EncoderLayer
from bertcore.model.weights import initialise
from bertcore.training.optim import ReleasedAdamW

LAYERS, WIDTH, UPDATES, SEEDS = 12, 32, 120, 3
RATES, WARM_UPS = (0.001, 0.003, 0.01), (0, 50)


def post_ln(layer: EncoderLayer, x: Tensor) -> Tensor:
    """BERT's order."""
    x = layer.attention_norm(x + layer.attention(x))
    return layer.feedforward_norm(x + layer.feedforward(x))


def pre_ln(layer: EncoderLayer, x: Tensor) -> Tensor:
    """The norm before the sub-layer; nothing stands on the straight path."""
    x = x + layer.attention(layer.attention_norm(x))
    return x + layer.feedforward(layer.feedforward_norm(x))


def no_residual(layer: EncoderLayer, x: Tensor) -> Tensor:
    """A norm after each sub-layer, and no straight path."""
    x = layer.attention_norm(layer.attention(x))
    return layer.feedforward_norm(layer.feedforward(x))


def xavier(module: nn.Module) -> None:
    """Glorot and Bengio 2010."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


# BERT's sigma belongs to a width of 768; a sum over fewer features needs larger ones.
BERTS = 0.02 * (768 / WIDTH) ** 0.5
STARTS = {"BERT's": initialise(BERTS), "Xavier's": xavier, "0.02": initialise(0.02)}
ORDERS = {"post-LN": post_ln, "pre-LN": pre_ln, "no residual": no_residual}
OPTIMISERS = {
    "AdamW": partial(torch.optim.AdamW, fused=True),
    "released": ReleasedAdamW,
}
GRID = [
    *product(["post-LN"], ("BERT's", "Xavier's"), ["AdamW"], RATES, WARM_UPS),
    *product(["pre-LN"], ("BERT's", "Xavier's"), ["AdamW"], RATES, [0]),
    *product(["no residual"], ["BERT's"], ["AdamW"], RATES, [50]),
    *product(["post-LN"], ["0.02"], ["AdamW"], RATES, [0]),
    *product(["post-LN"], ["BERT's"], ["released"], RATES[:2], WARM_UPS),
]
# What the grid leaves open: a setting, the number of updates, and the seeds.
HIGH = "post-LN", "BERT's", "AdamW", RATES[-1]
MORE = [
    *(((*HIGH, steps), UPDATES, range(SEEDS, 8)) for steps in WARM_UPS),
    ((*HIGH, 100), UPDATES, range(8)),
    ((*HIGH, 50), 3 * UPDATES, range(8)),
]


def config_of(width: int, heads: int) -> BertConfig:
    """A layer without dropout: every run sees the same model."""
    return BertConfig(
        hidden_size=width, heads=heads, feedforward_size=4 * width, dropout=0.0,
        attention_dropout=0.0,
    )  # fmt: skip


def learn(
    seed: int,
    order: str,
    start: str,
    optimiser: str,
    rate: float,
    warm_up: int,
    updates: int = UPDATES,
) -> tuple[float, float, float]:
    """Train once: the last losses, the tokens' likeness, first gradient to last."""
    torch.manual_seed(seed)
    config, forward = config_of(WIDTH, 4), ORDERS[order]
    layers = nn.ModuleList(EncoderLayer(config) for _ in range(LAYERS))
    ends = nn.Embedding(16, WIDTH), nn.Embedding(8, WIDTH), nn.Linear(WIDTH, 16)
    letters, places, read = ends
    nn.ModuleList(ends).apply(initialise(BERTS))
    model = nn.ModuleList([*ends, layers.apply(STARTS[start])])
    steps, losses = OPTIMISERS[optimiser](model.parameters(), lr=rate), []
    for update in range(updates):
        for group in steps.param_groups:
            group["lr"] = rate * min(1, (update + 1) / max(1, warm_up))
        rows = torch.randint(16, (32, 8))
        x = F.layer_norm(letters(rows) + places.weight, (WIDTH,))
        for layer in layers:
            x = forward(layer, x)
        if order == "pre-LN":
            x = F.layer_norm(x, (WIDTH,))
        loss = F.cross_entropy(read(x)[:, 1:].mT, rows[:, :-1])
        steps.zero_grad()
        loss.backward()
        steps.step()
        losses.append(loss.item())
    first, last = (layers[i].feedforward.narrow.weight.grad.norm() for i in (0, -1))
    return sum(losses[-10:]) / 10, likeness(x), (first / last).item()


def likeness(x: Tensor) -> float:
    """The mean cosine of two tokens, of one text or of two."""
    unit = F.normalize(x.detach().flatten(0, 1), dim=-1)
    return ((unit @ unit.T).sum() - len(unit)).item() / (len(unit) * (len(unit) - 1))


def at_the_start(seed: int, order: str) -> float:
    """In a stack of BERT-base's size: the last layer's gradient beside the first's."""
    torch.manual_seed(seed)
    config = config_of(768, 12)
    stack = [EncoderLayer(config).apply(initialise(0.02)) for _ in range(LAYERS)]
    x = F.layer_norm(torch.randn(4, 16, 768), (768,))
    for layer in stack:
        x = ORDERS[order](layer, x)
    if order == "pre-LN":
        x = F.layer_norm(x, (768,))
    scores = x @ torch.randn(768, 1000) / 50
    F.cross_entropy(scores.flatten(0, 1), torch.arange(64)).backward()
    first, last = (stack[i].feedforward.narrow.weight.grad.norm() for i in (0, -1))
    return (last / first).item()


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    parser.add_argument("--more", action="store_true", help="run MORE, not GRID")
    given = parser.parse_args()
    torch.set_num_threads(1)
    runs, grid = [], MORE if given.more else [(s, UPDATES, range(SEEDS)) for s in GRID]
    for setting, updates, seeds in tqdm(grid, leave=False):
        order, start, optimiser, rate, warm_up = setting
        found = [learn(seed, *setting, updates=updates) for seed in seeds]
        loss, alike, gradient = zip(*found, strict=True)
        runs.append({
            "order": order, "start": start, "optimiser": optimiser,
            "learning_rate": rate, "warm_up": warm_up,
            "updates": updates, "seeds": [*seeds],
            "loss": [round(value, 3) for value in loss],
            "alike": [round(value, 3) for value in alike],
            "gradient_first_to_last": [float(f"{value:.2g}") for value in gradient],
        })  # fmt: skip
        print(*setting, updates, runs[-1]["loss"], runs[-1]["alike"], flush=True)
    results = {"runs": runs}
    if not given.more:
        results["base: gradient of the last layer to the first"] = {
            order: [round(at_the_start(seed, order), 2) for seed in range(SEEDS)]
            for order in ("post-LN", "pre-LN")
        }
    if given.card:
        card = make_card(
            "Twelve layers learn the letter before, or do not: loss, likeness of "
            "tokens and gradients after the last update, seed by seed",
            "rows of eight letters, drawn at random",
            results,
            layers=LAYERS, width=WIDTH,
            sigma_of_berts_start=round(BERTS, 4),
        )  # fmt: skip
        write_card(given.card, card)


if __name__ == "__main__":
    main()
