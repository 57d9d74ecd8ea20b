"""Inference: running a trained model, and looking at what is inside it.

`prepacked` makes products faster on a CPU: a product of matrices begins with copying
both into an order that suits the processor, PyTorch does so anew in each call, and
oneDNN, its library for Intel's and AMD's processors, can keep the copy. `states_at`
computes the last layer only where it is read. `layer_states` and `attention_weights`
show every layer's states and attention (chapters 3, 4 and 5).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bertcore.model.attention import attention_map
from bertcore.model.bert import Bert
from bertcore.model.encoder import EncoderLayer
from bertcore.model.inputs import check_inputs, readable
from bertcore.model.weights import Pretrained

ROWS = 32  # oneDNN makes and keeps half a megabyte of code for each number of rows


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; then each part is as it was, also after an error."""
    learning = [part for part in model.modules() if part.training]
    model.eval()
    try:
        yield
    finally:
        for part in learning:
            part.training = True


@contextmanager
def prepacked(model: nn.Module) -> Iterator[bool]:
    """Faster linear layers for a while, for inference on the CPU in single precision.

    Where that is not the case, or PyTorch has not got the means, nothing changes. The
    copies are thrown away at the end, so weights that change later are no danger.

    Yields:
        Whether the layers are prepacked.
    """
    layers = [part for part in model.modules() if isinstance(part, nn.Linear)]
    packed = [_packed(layer.weight) for layer in layers]
    ready = bool(layers) and all(weight is not None for weight in packed)
    try:
        if ready:
            for layer, weight in zip(layers, packed, strict=True):
                layer.forward = partial(_product, weight, layer.bias)
        yield ready
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _packed(weight: Tensor) -> Tensor | None:
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return None
    if not torch.backends.mkldnn.is_available():
        return None
    try:
        return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
    except (AttributeError, RuntimeError):  # a PyTorch without this function
        return None


def _product(weight: Tensor, bias: Tensor | None, hidden: Tensor) -> Tensor:
    """The layer's result; rows are filled up, or oneDNN keeps code for each number."""
    rows = hidden.flatten(0, -2)
    filled = F.pad(rows, (0, 0, 0, -len(rows) % ROWS))
    found = torch.ops.mkldnn._linear_pointwise(filled, weight, bias, "none", [], "")
    return found[: len(rows)].unflatten(0, hidden.shape[:-1])


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


def layer_states(bert: nn.Module, **batch: Tensor) -> list[Tensor]:
    """The states after the embeddings and after each layer, `b s w` each.

    Args:
        bert: a `Bert` or a model with a head; in evaluation mode, or dropout is in
            what you see.
        batch: what it is called with, by name.

    Returns:
        One tensor more than there are layers, without gradients.
    """
    found: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        found.append(output)

    body = getattr(bert, "bert", bert)
    # A layer that is used several times (ALBERT) is watched once.
    parts = dict.fromkeys([body.embeddings, *body.encoder.layers])
    with _watching([part.register_forward_hook for part in parts], keep):
        bert(**batch)
    return found


def attention_weights(bert: nn.Module, **batch: Tensor) -> Tensor:
    """What each token takes from each, in every head of every layer.

    Args:
        bert, batch: as for `layer_states`.

    Returns:
        One tensor, layers × `b h q k`, without dropout on the weights; rows sum to 1.
    """
    found: list[Tensor] = []

    def keep(attention: nn.Module, inputs: tuple, named: dict) -> None:
        found.append(attention.weights(*inputs, **named))

    layers = dict.fromkeys(getattr(bert, "bert", bert).encoder.layers)
    registers = [
        partial(layer.attention.register_forward_pre_hook, with_kwargs=True)
        for layer in layers
    ]
    with _watching(registers, keep):
        bert(**batch)
    return torch.stack(found)


@contextmanager
def _watching(registers: list[Callable], keep: Callable) -> Iterator[None]:
    handles = [register(keep) for register in registers]
    try:
        with torch.no_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()
