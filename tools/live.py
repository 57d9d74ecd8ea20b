"""The live model: `english-mini` for the reader's browser, in whole numbers of 8 bits.

`write` exports weights and manifest when the book is built, and tools/live-model.js
runs them in the page. What the page shows before they are loaded is computed here, from
the same rounded weights.
"""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bertcore import BertForMaskedLM, Tokenizer
from bertcore.book.plots import BLUE
from bertcore.model.inference import attention_weights, layer_states
from bertcore.sources import OUR_MODEL
from bertcore.training.scoring import score_texts
from tools import playground

HERE = Path(__file__).parent
SCRIPTS = HERE / "live.js", HERE / "live-attention.js"  # in the order of loading
WORKER = HERE / "live-model.js"
MARK = 'class="bertcore-live"'
NAME = OUR_MODEL.partition("/")[2]
LIMIT = 127  # of a whole number: -127 to 127, so that zero is zero
GAP = re.compile(r"\[MASK\]|_{2,}", re.IGNORECASE)
TOP = 8  # pieces that are shown for a gap
# The five examples that stand in the page.
FILL = (
    "The river flows into the ___.",
    "Paris is the capital of ___.",
    "The president spoke to the ___.",
)
ATTEND = "The king spoke to his people."
COMPARE = ("She runs every day.", "She run every day.")
LAYER, HEAD = 1, 1  # shown large in the picture; they count from 1


class Export(NamedTuple):
    """All that a browser needs: what is in the file of weights, and the file."""

    manifest: dict[str, Any]
    weights: bytes

    @property
    def manifest_bytes(self) -> bytes:
        """The manifest as its file holds it."""
        text = json.dumps(self.manifest, ensure_ascii=False, separators=(",", ":"))
        return text.encode()

    @property
    def stem(self) -> str:
        """The files' name: it has a version, so a browser may keep them for ever."""
        return Path(self.manifest["weights"]).stem


# Rounding ----------------------------------------------------------------------------


def quantise(
    matrix: Tensor,  # r c
) -> tuple[Tensor, Tensor]:
    """Whole numbers of 8 bits, `r c`, and one float32 scale for each row, `r`.

    Symmetric: the largest weight of a row becomes 127 or -127, and zero stays zero.
    """
    scales = matrix.float().abs().amax(1) / LIMIT  # r
    scales[scales == 0] = 1  # a row of zeros
    return (matrix / scales[:, None]).round().to(torch.int8), scales


def rounded_model() -> BertForMaskedLM:
    """`english-mini` with the weights that the browser has, in float32.

    Tables and matrices are rounded to 8 bits and back; biases and LayerNorm are not.
    """
    model = BertForMaskedLM.from_pretrained(OUR_MODEL)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                values, scales = quantise(parameter)
                parameter.copy_(values * scales[:, None])
    return model


def export(model: BertForMaskedLM, tokenizer: Tokenizer) -> Export:
    """The model's weights in one piece, first all of float32, then all of int8."""
    floats: list[tuple[str, str, Tensor]] = []
    integers: list[tuple[str, str, Tensor]] = []
    tensors: dict[str, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        tensors[name] = {"shape": list(parameter.shape)}
        if parameter.dim() == 2:
            values, scales = quantise(parameter.detach())
            integers.append((name, "offset", values))
            floats.append((name, "scales", scales))
        else:
            floats.append((name, "offset", parameter.detach().float()))
    weights = bytearray()
    for name, what, tensor in floats + integers:
        tensors[name][what] = len(weights)
        weights += tensor.numpy().tobytes()
    config = model.config
    manifest = {
        "layers": config.layers,
        "heads": config.heads,
        "width": config.hidden_size,
        "positions": config.max_positions,
        "epsilon": config.layer_norm_eps,
        "parameters": sum(p.numel() for p in model.parameters()),
        "lowercase": tokenizer.lowercase,
        "vocabulary": tokenizer.vocabulary,
        "tables": playground.tables(),
        "tensors": tensors,
        "bytes": len(weights),
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    version = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()[:10]
    manifest["weights"] = f"{NAME}-{version}.bin"
    return Export(manifest, bytes(weights))


# What the page shows before ----------------------------------------------------------


def masked(text: str, tokenizer: Tokenizer) -> list[int]:
    """The ids of a text whose gaps are written `___` or [MASK]."""
    return tokenizer.encode(GAP.sub("[MASK]", text), parse_special=True)


@torch.no_grad()
def fill(text: str, model: BertForMaskedLM, tokenizer: Tokenizer) -> dict[str, Any]:
    """For each gap the likeliest pieces with their probabilities."""
    ids = torch.tensor(masked(text, tokenizer))
    logits = model(ids[None])[0, ids == tokenizer.mask_id]
    gaps = []
    for row in logits.softmax(-1):
        shares, found = row.topk(TOP)
        pieces = [tokenizer.vocabulary[id] for id in found.tolist()]
        gaps.append(
            [[p, round(s, 6)] for p, s in zip(pieces, shares.tolist(), strict=True)]
        )
    return {"text": text, "gaps": gaps}


@torch.no_grad()
def attend(text: str, model: BertForMaskedLM, tokenizer: Tokenizer) -> dict[str, Any]:
    """Queries and keys of all layers, `l s w`: the page computes the weights itself."""
    ids = masked(text, tokenizer)
    states = layer_states(model.bert, input_ids=torch.tensor([ids]))
    found: dict[str, Any] = {
        "text": text,
        "pieces": [tokenizer.vocabulary[id] for id in ids],
    }
    for what in ("query", "key"):
        rows = [
            getattr(layer.attention, what)(hidden[0])
            for layer, hidden in zip(model.bert.encoder.layers, states, strict=False)
        ]
        found[what] = base64.b64encode(torch.stack(rows).numpy().tobytes()).decode()
    return found


def compare(
    texts: Iterable[str], model: BertForMaskedLM, tokenizer: Tokenizer
) -> dict[str, Any]:
    """The pieces of both texts with their log-probabilities, each masked in turn."""
    scores = score_texts(texts, model, tokenizer)
    return {
        "texts": [
            {
                "text": score.text,
                "pieces": [
                    [p.piece, round(p.log_probability, 5)] for p in score.pieces
                ],
            }
            for score in scores
        ]
    }


def fallback_fill(examples: list[dict[str, Any]]) -> str:
    """Without a script: each sentence with its likeliest pieces."""
    return table(
        ("Sentence", "Likeliest pieces"),
        [
            (each["text"], ", ".join(f"{p} {share:.0%}" for p, share in gap[:5]))
            for each in examples
            for gap in each["gaps"]
        ],
    )


def fallback_compare(examples: list[dict[str, Any]]) -> str:
    """Without a script: two sentences, their pieces, and the sums."""
    return table(
        ("Sentence", "Pieces, in nats", "Sum"),
        [
            (
                each["text"],
                " · ".join(f"{p} {value:.2f}" for p, value in each["pieces"]),
                f"{sum(value for _, value in each['pieces']):.2f}",
            )
            for example in examples
            for each in example["texts"]
        ],
    )


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table of texts."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    lines = (
        "".join(f"<td>{escape(cell)}</td>" for cell in row).join(("<tr>", "</tr>"))
        for row in rows
    )
    return (
        f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def fallback_attend(
    weights: Tensor,  # l h q k
    pieces: list[str],
) -> str:
    """Without a script: a picture of all heads, and of one with its pieces."""
    small, large, count = 6, 22, len(pieces)
    layers, heads = weights.shape[:2]
    across, size = heads * (count * small + 10), count * large
    drawn = "".join(
        squares(
            weights[layer, head],
            small,
            head * (count * small + 10),
            layer * (count * small + 10),
        )
        for layer in range(layers)
        for head in range(heads)
    )
    chosen = weights[LAYER - 1, HEAD - 1]  # q k
    left, top = across + 75, 50
    drawn += squares(chosen, large, left, top)
    for place, piece in enumerate(pieces):
        middle = place * large + large // 2
        drawn += (
            f'<text x="{left - 6}" y="{top + middle + 4}" text-anchor="end">'
            f'{escape(piece)}</text><text transform="translate({left + middle + 4} '
            f'{top - 6}) rotate(-60)">{escape(piece)}</text>'
        )
    height = max(top + size, layers * (count * small + 10))
    query, key = divmod(chosen.argmax().item(), count)
    alt = (
        f"Attention in {layers} layers of {heads} heads for the sentence {ATTEND} "
        f"Layer {LAYER}, head {HEAD} is shown large: its darkest square says that "
        f"{pieces[query]} takes {chosen.max().item():.0%} from {pieces[key]}."
    )
    return (
        f'<svg role="img" aria-label="{escape(alt)}" fill="currentColor" '
        f'font-size="13" viewBox="0 0 {left + size + 40} {height}" '
        f'xmlns="http://www.w3.org/2000/svg">{drawn}</svg>'
    )


def squares(
    weights: Tensor,  # q k
    side: int,
    left: int,
    top: int,
) -> str:
    """A head as squares in eight strengths of blue; what is below 1/16 is left out."""
    count = len(weights)
    edge = f'<path fill="none" stroke="{BLUE}" d="M{left} {top}h{side * count}'
    found = [f'{edge}v{side * count}h-{side * count}z"/>']
    strengths = (weights * 8).round().int()
    for strength in range(1, 9):
        places = (strengths == strength).nonzero().tolist()
        path = "".join(
            f"M{left + k * side} {top + q * side}h{side}v{side}h-{side}z"
            for q, k in places
        )
        if path:
            found.append(f'<path fill="{BLUE}" opacity="{strength / 8}" d="{path}"/>')
    return "".join(found)


# What is written ---------------------------------------------------------------------


def parts(model: BertForMaskedLM, tokenizer: Tokenizer) -> dict[str, tuple[Any, str]]:
    """For each part of the page its examples, and what a browser without script has."""
    fills = [fill(text, model, tokenizer) for text in FILL]
    attends = [attend(ATTEND, model, tokenizer)]
    compares = [compare(COMPARE, model, tokenizer)]
    ids = torch.tensor([masked(ATTEND, tokenizer)])
    weights = attention_weights(model, input_ids=ids)[:, 0]  # l h q k
    return {
        "load": ([], "<p>Without JavaScript the examples below stay as they are.</p>"),
        "fill": (fills, fallback_fill(fills)),
        "attend": (attends, fallback_attend(weights, attends[0]["pieces"])),
        "compare": (compares, fallback_compare(compares)),
    }


def write(folder: Path) -> None:
    """Write weights and manifest into `folder/site`, the page's parts beside them."""
    model, tokenizer = rounded_model(), Tokenizer.from_pretrained(OUR_MODEL)
    exported = export(BertForMaskedLM.from_pretrained(OUR_MODEL), tokenizer)
    site, stem = folder / "site", exported.stem
    site.mkdir(parents=True, exist_ok=True)
    (site / f"{stem}.bin").write_bytes(exported.weights)
    (site / f"{stem}.json").write_bytes(exported.manifest_bytes)
    code = hashlib.sha256(WORKER.read_bytes() + playground.WORDPIECE.read_bytes())
    common = {
        "manifest": f"{stem}.json",
        "code": code.hexdigest()[:10],
        "bytes": len(exported.weights) + len(exported.manifest_bytes),
        "parameters": exported.manifest["parameters"],
        "layers": model.config.layers,
        "heads": model.config.heads,
    }
    for name, (examples, fallback) in parts(model, tokenizer).items():
        data = json.dumps({"part": name, "examples": examples, **common})
        html = (
            f'<div {MARK} data-manifest="{stem}.json">'
            f'<div class="fallback">{fallback}</div>'
            # No "<" in the data: "</script>" in a piece must not end it.
            f'<script type="application/json">{data.replace("<", chr(92) + "u003c")}'
            "</script></div>"
        )
        (folder / f"{name}.html").write_text(html, encoding="utf8")


def folder_in(cache: Path) -> Path:
    """Where the export is; it is written anew when a script that makes it changes."""
    digest = hashlib.sha256()
    for file in (Path(__file__), WORKER, playground.WORDPIECE, playground.__file__):
        digest.update(Path(file).read_bytes())
    folder = cache / f"live-{digest.hexdigest()[:10]}"
    if not (folder / "compare.html").exists():  # the last that `write` writes
        write(folder)
    return folder


def write_page(folder: Path) -> None:
    """Write the whole page without the book's theme, to test it and to time it."""
    write(folder)
    for file in (folder / "site").iterdir():
        file.rename(folder / file.name)
    style = HERE.parent / "_static" / "custom.css"
    for file in (*SCRIPTS, WORKER, playground.WORDPIECE, style):
        shutil.copy(file, folder)
    body = "".join(
        (folder / f"{part}.html").read_text(encoding="utf8")
        for part in ("load", "fill", "attend", "compare")
    )
    scripts = "".join(f'<script defer src="{s.name}?v=1"></script>' for s in SCRIPTS)
    (folder / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf8"><title>Live</title>'
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="custom.css">'
        f'{scripts}<body style="margin: 8px">{body}</body></html>',
        encoding="utf8",
    )
