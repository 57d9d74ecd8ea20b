"""Export: a trained model as a folder that other libraries load (chapter 9)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from bertcore.model.weights import Pretrained
from bertcore.text.wordpiece import Tokenizer


def export(
    model: Pretrained,
    tokenizer: Tokenizer,
    folder: str | Path,
    card: Mapping[str, Any],
    half: bool = False,
) -> Path:
    """Write weights, config, vocabulary and a model card into a folder.

    `transformers` opens it: `pipeline("fill-mask", folder)`; so does
    `BertForMaskedLM.from_pretrained(folder)` here.

    Args:
        model: trained.
        tokenizer: that of its training.
        folder: new, or of an earlier export.
        card: of the run, as `Pretraining.card` makes it.
        half: keep the weights in fp16, in half the space.

    Raises:
        ValueError: if the model has parts that no published format knows.
    """
    folder = Path(folder).expanduser()
    model.save_pretrained(folder)
    if half:
        _halve(folder / "model.safetensors")
    tokenizer.save_pretrained(folder)
    text = model_card(model, tokenizer, card)
    (folder / "README.md").write_text(text, encoding="utf8", newline="\n")
    (folder / "card.json").write_text(
        json.dumps(card, indent=2, ensure_ascii=False) + "\n",
        encoding="utf8",
        newline="\n",
    )
    return folder


def _halve(path: Path) -> None:
    tensors = {name: value.half() for name, value in load_file(path).items()}
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise ValueError(
                f"{name} has weights that fp16 cannot hold; export with half=False"
            )
    partial = path.with_suffix(".part")
    save_file(tensors, partial, metadata={"format": "pt"})
    partial.replace(path)


def model_card(model: Pretrained, tokenizer: Tokenizer, card: Mapping[str, Any]) -> str:
    """A page about the model, in the form that hubs of models show."""
    results, setting = card["results"], card["setting"]
    config, recipe = model.config, setting["recipe"]
    count = sum(p.numel() for p in model.parameters())
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: fill-mask",
        "tags: [bert, masked-lm]",
        "---",
        "",
        f"# {type(model).__name__}, {count / 1e6:.1f} million parameters",
        "",
        f"{config.layers} layers of {config.hidden_size}, {config.heads} heads, "
        f"{len(tokenizer):,} pieces, texts of up to {config.max_positions} tokens. "
        "Trained by `bertcore` from random weights.",
        "",
        "## Use",
        "",
        "```python",
        "from transformers import pipeline",
        "",
        'fill = pipeline("fill-mask", "this-folder")',
        'fill("The capital of France is [MASK].")',
        "```",
        "",
        "## Training",
        "",
        f"- Texts: {card['data']}.",
        f"- Recipe: {_spoken(recipe)}.",
        f"- {results['steps']:,} updates, {results['tokens']:,} tokens, "
        f"{results['training_seconds']:,.0f} s on {card['device']} in "
        f"{setting['precision']}.",
    ]
    if "held_out" in results:
        quality = results["held_out"]
        lines += [
            "",
            "## Held-out texts, 15 % masked",
            "",
            f"- loss {quality['masked_lm']:.3f} nats a masked piece (knowing only how "
            f"frequent each is: {results['unigram_loss']:.3f})",
            f"- {quality['bits_per_character']:.3f} bits per character",
            f"- {quality['accuracy']:.1%} of {quality['pieces']:,} pieces right",
        ]
    lines += [
        "",
        "## What it is not",
        "",
        "It repeats what its texts say and how they say it, their age and their bias "
        "included. It is made to learn with, not to rely on.",
    ]
    return "\n".join(lines) + "\n"


def _spoken(recipe: Mapping[str, Any]) -> str:
    pairs = "pairs of texts" if recipe["pairs"] else "masked pieces alone"
    return (
        f"{pairs}, {recipe['mask_rate']:.0%} masked, {recipe['batch']:,} texts of up "
        f"to {recipe['length']} tokens in an update, optimiser {recipe['optimiser']}, "
        f"learning rate {recipe['learning_rate']:g}, {recipe['schedule']} schedule "
        f"with {recipe['warmup']:.0%} warm-up, seed {recipe['seed']}"
    )
