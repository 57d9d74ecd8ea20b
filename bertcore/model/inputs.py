"""Inputs: what BERT accepts, and a clear word about what it does not (chapter 0)."""

import torch
from torch import Tensor

from bertcore.model.config import BertConfig


def check_inputs(
    config: BertConfig,
    input_ids: Tensor,
    token_type_ids: Tensor | None,
    attention_mask: Tensor | None,
    position_ids: Tensor | None,
) -> None:
    """Refuse inputs that the tables cannot take.

    Shapes and types are always checked. Values are checked on the CPU only: on an
    accelerator that would make every step wait for the device.

    Raises:
        ValueError: naming what was given, what is allowed and what to do.
    """
    _check_ids("input_ids", input_ids)
    batch, length = input_ids.shape
    # With position_ids a packed row may be longer than the table: its texts are not.
    if position_ids is None and length > config.max_positions:
        raise ValueError(
            f"{length} tokens, but the position table has {config.max_positions} "
            f"rows; cut the text with tokenizer(..., max_length={config.max_positions})"
        )
    tables = {
        "input_ids": (input_ids, config.vocab_size, "pieces in the vocabulary"),
        "token_type_ids": (token_type_ids, config.segments, "segments"),
        "position_ids": (position_ids, config.max_positions, "positions"),
    }
    for name, (ids, rows, what) in tables.items():
        if ids is None:
            continue
        _check_ids(name, ids)
        if ids.shape[1] != length or ids.shape[0] not in (1, batch):
            raise ValueError(
                f"{name} has shape {tuple(ids.shape)}, but input_ids has "
                f"{(batch, length)}; they must agree"
            )
        if readable(ids):
            _check_range(name, ids, rows, what)
    if attention_mask is not None:
        _check_mask(attention_mask, batch, length)


def check_source(
    cross: bool,
    source: Tensor | None,
    source_mask: Tensor | None,
    batch: int,
    width: int,
) -> None:
    """Refuse what a decoder's cross-attention cannot look at.

    Args:
        cross: whether the decoder has cross-attention.
        source: the states of an encoder, or None.
        source_mask: theirs, or None.
        batch: rows of the target.
        width: of the decoder's states.

    Raises:
        ValueError: naming what was given, what is allowed and what to do.
    """
    # A decoder without cross-attention would drop a source without a word.
    if (source is not None) != cross:
        count = "no source" if source is None else "a source"
        raise ValueError(
            f"{count} for a decoder with cross={cross}; cross-attention looks at the "
            "states of an encoder: give source=… to a decoder that has it, and to no "
            "other"
        )
    if source is None:
        return
    if source.dim() != 3 or len(source) != batch or source.shape[2] != width:
        raise ValueError(
            f"source has shape {tuple(source.shape)}; expected ({batch}, k, {width}): "
            "the states of an encoder of the same width, a row of them for each row of "
            "input_ids"
        )
    if source_mask is not None and source_mask.shape != source.shape[:2]:
        raise ValueError(
            f"source_mask has shape {tuple(source_mask.shape)}; expected "
            f"{tuple(source.shape[:2])}, as the source has"
        )


def _check_ids(name: str, ids: Tensor) -> None:
    # torch would say only that it cannot index a table, and not what to do.
    if not isinstance(ids, Tensor):
        raise ValueError(
            f"{name} is a {type(ids).__name__}; give a tensor, "
            "as tokenizer(texts) makes it or torch.tensor(ids)"
        )
    if ids.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"{name} has dtype {ids.dtype}; ids are rows of a table, "
            f"so they must be int64 or int32: use {name}.long()"
        )
    if ids.dim() != 2:
        raise ValueError(
            f"{name} has shape {tuple(ids.shape)}; expected (batch, sequence). "
            f"For one text, add the batch axis: {name}[None]"
        )
    if ids.numel() == 0:
        raise ValueError(
            f"{name} has shape {tuple(ids.shape)}: an empty batch; "
            "give at least one text of at least one token"
        )


def _check_range(name: str, ids: Tensor, rows: int, what: str) -> None:
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= rows:
        remedy = "use the vocabulary that the weights came with"
        if name != "input_ids":
            remedy = f"use 0 to {rows - 1}"
        raise ValueError(
            f"{name} holds {low if low < 0 else high}, but there are {rows} {what} "
            f"(0 to {rows - 1}); {remedy}"
        )


def _check_mask(mask: Tensor, batch: int, length: int) -> None:
    if not isinstance(mask, Tensor):
        raise ValueError(f"attention_mask is a {type(mask).__name__}; give a tensor")
    if mask.is_floating_point() and not readable(mask):
        raise ValueError(
            f"attention_mask has dtype {mask.dtype}, and on {mask.device} its values "
            "are not looked at; give 1 and 0 as integers: attention_mask.long()"
        )
    shape = tuple(mask.shape)
    if shape not in ((batch, length), (batch, length, length)):
        raise ValueError(
            f"attention_mask has shape {shape}; expected {(batch, length)}, or "
            f"{(batch, length, length)} to say which query may look at which key"
        )
    if not readable(mask):
        return
    # Read as True and False, the numbers added to scores (0, -inf) would be inverted.
    if not _numbers_texts(mask) and not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError(
            "attention_mask holds values other than 0 and 1; give 1 for a token "
            "(1, 2, 3, … without gaps for the texts of a packed row) and 0 for "
            "padding, not ids or the numbers that are added to the scores"
        )
    empty = (~mask.bool().any(dim=-1)).nonzero()
    if len(empty):
        text, *query = empty[0].tolist()
        who = f"query {query[0]} of text {text}" if query else f"text {text}"
        raise ValueError(
            f"attention_mask lets {who} look at nothing; let it look at one token at "
            "least, padding at itself"
        )


def _numbers_texts(mask: Tensor) -> bool:
    """Whether each row, `b s`, holds 1, 2, 3, … without gaps, and 0 for padding."""
    if mask.dim() != 2 or bool((mask != mask.long()).any()):
        return False
    ordered = mask.long().sort(dim=-1).values
    steps = ordered.diff(dim=-1, prepend=torch.zeros_like(ordered[:, :1]))
    return bool(((steps == 0) | (steps == 1)).all())


def readable(tensor: Tensor) -> bool:
    """Whether looking at values is free: real ones, on the CPU, not being compiled."""
    real = tensor.device.type == "cpu" and type(tensor) is Tensor
    return real and not torch.compiler.is_compiling()
