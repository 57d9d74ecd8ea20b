"""What do local layers save? Attention that masks against attention that skips.

    python benchmarks/local.py                    print a table
    python benchmarks/local.py --card FILE.json   and record the run

One text, one layer of ModernBERT-base, forward, one core. Side by side in each round:
attention to the whole text (a global layer), attention to 64 tokens on either side with
a map over all pairs, the same block by block (`in_blocks`, the code of chapter 8b), and
all that a layer computes besides. From these, the sum for the 22 layers of the model,
if its local layers do it one way or the other, or are global, too. Three numbers for
each: minimum, median and maximum over the rounds, in milliseconds of processor time,
which other work on the machine lengthens; ratios are taken within a round.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from measure import options, record, spread, timed
from torch import Tensor

from bertcore.model.variants.modernbert import (
    ModernBertConfig,
    ModernLayer,
    angles,
    local_map,
    rotate,
)

LENGTHS = (128, 256, 512, 1024, 2048, 4096, 8192)


def in_blocks(query: Tensor, key: Tensor, value: Tensor, near: int) -> Tensor:
    """Local attention, `b h s d`, in blocks of `near` queries, which divides s."""
    batch, length = query.shape[0], query.shape[-2]
    query = rearrange(query, "b h (n q) d -> (b n) h q d", q=near)
    # A block of queries needs the keys of three blocks: the one before, its own and
    # the one after. So windows of three blocks move on by one.
    key, value = (
        rearrange(
            F.pad(each, (0, 0, near, near)).unfold(-2, 3 * near, near),
            "b h n d k -> (b n) h k d",
        )
        for each in (key, value)
    )
    asks = rearrange(torch.arange(length), "(n q) -> n q 1", q=near)
    seen = torch.arange(-near, length + near).unfold(0, 3 * near, near)[:, None]
    allowed = ((asks - seen).abs() <= near) & (seen >= 0) & (seen < length)
    allowed = allowed[:, None].repeat(batch, 1, 1, 1)
    found = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    return rearrange(found, "(b n) h q d -> b h (n q) d", b=batch)


@torch.no_grad()
def times(config: ModernBertConfig, length: int) -> dict[str, float]:
    """One round: milliseconds of each part, of all layers, and what blocks save."""
    near, layer = config.window // 2, ModernLayer(config, number=1).eval()
    width = config.hidden_size // config.heads
    states = torch.randn(1, length, config.hidden_size)
    turns = angles(torch.arange(length)[None, None], width, config.local_base)
    vectors = torch.randn(3, 1, config.heads, length, width)
    attend = F.scaled_dot_product_attention
    work: dict[str, Callable[[], Tensor]] = {
        "global": lambda: attend(*vectors),
        "masked": lambda: attend(*vectors, attn_mask=local_map(length, config.window)),
        "in blocks": lambda: in_blocks(*vectors, near),
        "the rest": lambda: the_rest(layer, states, turns),
    }
    seconds, found = {}, {}
    for name, do in work.items():
        seconds[name], found[name] = timed(do)
    if not torch.allclose(found["masked"], found["in blocks"], atol=1e-5):
        raise ValueError("in blocks is not what masked is")
    part = {name: 1000 * each for name, each in seconds.items()}
    whole = len(range(0, config.layers, config.global_every))
    part["masked to in blocks"] = part["masked"] / part["in blocks"]
    for kind in ("global", "masked", "in blocks"):
        part[f"all layers, {kind}"] = (
            config.layers * part["the rest"]
            + whole * part["global"]
            + (config.layers - whole) * part[kind]
        )
    part["all layers: masked to in blocks"] = (
        part["all layers, masked"] / part["all layers, in blocks"]
    )
    return part


def main() -> None:
    """Measure, print, and record if asked."""
    given = options(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config, results = ModernBertConfig(), {}
    for length in LENGTHS:
        print(f"{length} tokens")
        times(config, length)  # the first one warms up
        rounds = [times(config, length) for _ in range(given.rounds)]
        results[str(length)] = spread(
            {name: [each[name] for each in rounds] for name in rounds[0]}
        )
    record(
        given.card,
        "One layer of ModernBERT-base, forward, over one text: attention to all, "
        "masked, in blocks, and the rest of the layer; and sums for all 22 layers, 8 "
        "of them global; milliseconds of processor time, minimum, median and maximum",
        "random numbers",
        results,
        rounds=given.rounds, threads=1, near=config.window // 2, heads=config.heads,
        width=config.hidden_size,
    )  # fmt: skip


def the_rest(
    layer: ModernLayer, states: Tensor, turns: tuple[Tensor, Tensor]
) -> Tensor:
    """All that a layer computes, but scores and what is taken by them."""
    attention = layer.attention
    query, key, value = rearrange(
        attention.qkv(layer.attention_norm(states)),
        "b s (three h d) -> three b h s d", three=3, h=attention.heads,
    )  # fmt: skip
    summed = rotate(query, *turns) + rotate(key, *turns) + value
    states = states + attention.output(rearrange(summed, "b h s d -> b s (h d)"))
    return states + layer.feedforward(layer.feedforward_norm(states))


if __name__ == "__main__":
    main()
