"""Export: a trained model as a folder that other libraries load (chapter 9)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from bertcore.cards import write_card
from bertcore.files import new_file, write_text
from bertcore.model.bert import Bert
from bertcore.model.encoder import EncoderLayer
from bertcore.model.variants.electra import ElectraForPreTraining, ElectraPair
from bertcore.model.variants.families import masked_lm_of
from bertcore.model.weights import Pretrained
from bertcore.sources import many
from bertcore.text.wordpiece import Tokenizer
from bertcore.training.objectives import OBJECTIVE_CLASSES

GENERATOR = "generator"  # the folder of an ELECTRA's, beside the discriminator's files


def export(
    model: Pretrained,
    tokenizer: Tokenizer,
    folder: str | Path,
    card: Mapping[str, Any],
    half: bool = False,
) -> Path:
    """Write weights, config, vocabulary and a model card into a folder.

    `transformers` opens it: `pipeline("fill-mask", folder)`; so does
    `BertForMaskedLM.from_pretrained(folder)` here. Of an ELECTRA the folder holds the
    discriminator, which is fine-tuned, and a folder in it the generator, which says
    what is masked.

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
    if isinstance(model, ElectraPair):
        parts = {folder: model.discriminator, folder / GENERATOR: model.generator}
    else:
        _check_layers(model)
        parts = {folder: masked_lm_of(model)}
    for place, part in parts.items():
        part.save_pretrained(place)
        tokenizer.save_pretrained(place)
        if half:
            _halve(place / "model.safetensors")
    # Last, so that a folder with a page is one whose weights are all there.
    write_text(folder / "README.md", model_card(parts[folder], tokenizer, card))
    write_card(folder / "card.json", card)
    return folder


def _check_layers(model: Pretrained) -> None:
    """Layers may differ from BERT's though their parameters have the same names."""
    kinds = tuple(kind for kind in OBJECTIVE_CLASSES if issubclass(kind, Pretrained))
    if not isinstance(model, kinds):
        raise ValueError(
            f"{type(model).__name__} is no one model with a head for masked pieces; "
            "save its parts with save_pretrained"
        )
    if type(model.bert) is not Bert:
        return
    names = {type(layer).__name__ for layer in model.bert.encoder.layers}
    names -= {EncoderLayer.__name__}
    if names:
        raise ValueError(
            f"a model with {' and '.join(sorted(names))} is no BERT, so no published "
            "format knows it; keep the run's checkpoint instead"
        )


def _halve(path: Path) -> None:
    tensors = {name: value.half() for name, value in load_file(path).items()}
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise ValueError(
                f"{name} has weights that fp16 cannot hold; export with half=False"
            )
    with new_file(path) as partial:
        save_file(tensors, partial, metadata={"format": "pt"})


_PAGE = """\
---
library_name: transformers
pipeline_tag: fill-mask
tags: [{family}, masked-lm]
---

# {name}, {millions:.1f} million parameters

{layers} of {width}, {heads}, {pieces:,} pieces, texts of up to \
{positions} tokens. Trained by `bertcore` from {origin}.

## Use

```python
from transformers import pipeline

fill = pipeline("fill-mask", "{filled}")
fill("The capital of France is [MASK].")
```

## Training

- Texts: {texts}.
- Recipe: {recipe}.
- {updates}, {tokens:,} tokens, {seconds:,.0f} s on {device} in {precision}.
{quality}
## What it is not

It repeats what its texts say and how they say it, their age and their bias included. \
It is made to learn with, not to rely on.
"""

_QUALITY = """
## Held-out texts, 15 % masked

- loss {masked_lm:.3f} nats a masked piece (knowing only how frequent each is: \
{unigram:.3f})
- {bits_per_character:.3f} bits per character
- {accuracy:.1%} of {pieces:,} pieces right
"""

_CHANGE = """\
- {name}, whole words hidden: {before:.3f} bits per character before this training, \
{after:.3f} after it
"""


def model_card(model: Pretrained, tokenizer: Tokenizer, card: Mapping[str, Any]) -> str:
    """A page about the model, in the form that hubs of models show."""
    results, setting, config = card["results"], card["setting"], model.config
    # A discriminator fills no gaps, so what the page shows is its generator.
    electra = isinstance(model, ElectraForPreTraining)
    quality = ""
    if "held_out" in results:
        unigram = results.get("unigram_loss", float("nan"))
        quality = _QUALITY.format(unigram=unigram, **results["held_out"])
    for name, scores in results.get("before_and_after", {}).items():
        before, after = (each["bits_per_character"] for each in scores.values())
        quality += _CHANGE.format(name=name, before=before, after=after)
    return _PAGE.format(
        name=type(model).__name__,
        family=config.published.model_type,
        filled=f"this-folder/{GENERATOR}" if electra else "this-folder",
        millions=sum(p.numel() for p in model.parameters()) / 1e6,
        layers=many(config.layers, "layer"),
        width=config.hidden_size,
        heads=many(config.heads, "head"),
        pieces=len(tokenizer),
        positions=config.max_positions,
        origin=setting.get("origin", "random weights"),
        texts=card["data"],
        recipe=_recipe_in_words(setting["recipe"]),
        updates=many(results["steps"], "update"),
        tokens=results["tokens"],
        seconds=results["training_seconds"],
        device=card["device"],
        precision=setting["precision"],
        quality=quality,
    )


def _recipe_in_words(recipe: Mapping[str, Any]) -> str:
    pairs = "masked pieces alone"
    if recipe["pairs"] or recipe.get("order"):  # a card of an earlier version has none
        pairs = "pairs of texts" if recipe["pairs"] else "the order of texts"
    if recipe.get("spans"):
        pairs += " in spans"
    return (
        f"{pairs}, {recipe['mask_rate']:.0%} masked, {recipe['batch']:,} texts of up "
        f"to {recipe['length']} tokens in an update, optimiser {recipe['optimiser']}, "
        f"learning rate {recipe['learning_rate']:g}, {recipe['schedule']} schedule "
        f"with {recipe['warmup']:.0%} warm-up, seed {recipe['seed']}"
    )
