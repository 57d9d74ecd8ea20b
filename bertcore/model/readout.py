"""Readout: the last layer, only where it is read (chapter 10).

A classifier reads one state a text. So in the last layer only that token has to ask,
and to go through the feed-forward part; it is the keys and values that all give.
"""

import torch
from torch import Tensor

from bertcore.model.attention import attention_map
from bertcore.model.bert import Bert
from bertcore.model.encoder import EncoderLayer
from bertcore.model.inputs import check_inputs, readable
from bertcore.model.weights import Pretrained


def states_at(
    bert: Pretrained,
    columns: Tensor,
    input_ids: Tensor,
    token_type_ids: Tensor | None = None,
    attention_mask: Tensor | None = None,
    position_ids: Tensor | None = None,
) -> Tensor:
    """Some of the states after the last layer, `b m w`, and no work for the others.

    They and their gradients are those of `bert(**inputs)` at these places. (Dropout
    draws other numbers.) A last layer that is not BERT's is computed everywhere, and
    so is a body that is not.

    Args:
        bert: the body of a model, of any family.
        columns: the places in each row that are read, `b m`. A row with fewer than m
            is filled up with any place, such as 0.
        input_ids, token_type_ids, attention_mask, position_ids: as for `Bert.forward`.

    Raises:
        ValueError: if the inputs are not what `Bert` takes, or a column is no place.
    """
    if type(bert) is not Bert:
        states = bert(input_ids, token_type_ids, attention_mask, position_ids)
        _check_columns(columns, input_ids)
        return _gathered(states, columns)
    check_inputs(bert.config, input_ids, token_type_ids, attention_mask, position_ids)
    _check_columns(columns, input_ids)
    hidden = bert.embeddings(input_ids, token_type_ids, position_ids)
    allowed = attention_map(attention_mask)
    *layers, last = bert.encoder.layers
    for layer in layers:
        hidden = layer(hidden, allowed)
    if not isinstance(last, EncoderLayer):
        return _gathered(last(hidden, allowed), columns)
    if allowed is not None:  # b 1 q k: the rows of the queries that are read
        allowed = allowed.take_along_dim(columns[:, None, :, None], dim=2)
    return last(_gathered(hidden, columns), allowed, source=hidden)


def _gathered(hidden: Tensor, columns: Tensor) -> Tensor:
    """`b s w` to `b m w`."""
    return hidden.take_along_dim(columns[:, :, None], dim=1)


def _check_columns(columns: Tensor, input_ids: Tensor) -> None:
    """Shape and type always, values on the CPU only, as of the other inputs."""
    batch, length = input_ids.shape
    if not isinstance(columns, Tensor):
        raise ValueError(
            f"columns is a {type(columns).__name__}; give a tensor of places, `b m`"
        )
    if columns.dtype != torch.int64:
        raise ValueError(
            f"columns has dtype {columns.dtype}; give the numbers of the places as "
            "int64: mask.nonzero() of one row, or columns.long()"
        )
    if columns.dim() != 2 or len(columns) != batch or columns.shape[1] == 0:
        raise ValueError(
            f"columns has shape {tuple(columns.shape)}; expected ({batch}, m), the "
            "same number of places, at least one, for each row of input_ids"
        )
    if not readable(columns):
        return
    low, high = int(columns.min()), int(columns.max())
    if low < 0 or high >= length:
        raise ValueError(
            f"columns holds {low if low < 0 else high}, but the rows have {length} "
            f"places; use 0 to {length - 1}"
        )
