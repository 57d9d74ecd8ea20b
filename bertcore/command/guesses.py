"""Guesses: what a model expects where a text says [MASK]."""

from collections.abc import Iterator

import torch

from bertcore.command.quality import trained

MASK = "[MASK]"


def guesses(text: str, name: str, top: int) -> Iterator[list[tuple[str, float]]]:
    """For each mask of a text the likeliest pieces with their probabilities.

    Args:
        text: with [MASK], or what the model itself calls it, once or more often.
        name: a run, or the folder or hub name of a model.
        top: how many pieces.

    Raises:
        ValueError: if there is no mask, or the text is too long for the model.
    """
    model, tokenizer, *_ = trained(name)
    own = tokenizer.vocabulary[tokenizer.mask_id]  # RoBERTa's is <mask>
    if MASK not in text and own not in text:
        raise ValueError(f"no {MASK} in {text!r}; write {MASK} for the piece to guess")
    batch = tokenizer(text.replace(MASK, own), parse_special=True)
    length = batch["input_ids"].shape[1]
    if length > model.config.max_positions:
        raise ValueError(
            f"the text has {length} tokens, and the model {model.config.max_positions} "
            "positions; give a shorter one"
        )
    with torch.no_grad():
        logits = model(**batch)
    logits = logits[0] if isinstance(logits, tuple) else logits
    hidden = batch["input_ids"][0] == tokenizer.mask_id
    for row in logits[0, hidden, : len(tokenizer)].softmax(-1):
        shares, ids = row.topk(min(top, len(tokenizer)))
        pieces = [tokenizer.vocabulary[id] for id in ids.tolist()]
        yield list(zip(pieces, shares.tolist(), strict=True))
