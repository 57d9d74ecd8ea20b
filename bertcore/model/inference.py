"""Inference: running a trained model, and looking at what is inside it.

`row_states` computes the states of many texts without padding. `states_at` computes
the last layer only where it is read. `layer_states` and `attention_weights` show every
layer's states and attention (chapters 3, 4 and 5).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, groupby

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from bertcore.model.attention import Attention, attention_map
from bertcore.model.bert import Bert
from bertcore.model.encoder import EncoderLayer
from bertcore.model.inputs import check_inputs
from bertcore.model.weights import Pretrained


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


def fits_in_rows(bert: nn.Module) -> bool:
    """Whether `row_states` can run this body: a `Bert` with layers of its own kind."""
    return type(bert) is Bert and all(
        type(layer) is EncoderLayer and type(layer.attention) is Attention
        for layer in bert.encoder.layers
    )


def row_states(bert: Bert, texts: Sequence[list[int]]) -> list[Tensor]:
    """The states of many texts in one long row: no padding, no mask.

    Only attention needs to know where a text ends. Everything else treats each token
    on its own, so the tokens of all texts share one product of matrices. Attention is
    computed run by run, where a run is neighbours of the same length: sort the texts
    by length, and there are few runs.

    Args:
        bert: a body that `fits_in_rows`; dropout is left out.
        texts: the ids of each text.

    Returns:
        The states `b s w` of each run, in the order of the texts.

    Raises:
        ValueError: if an id or a position is none of the model's.
    """
    runs = [(len([*run]), length) for length, run in groupby(map(len, texts))]
    device = bert.embeddings.token.weight.device
    ids = torch.tensor([[*chain(*texts)]], device=device)
    # Each text counts its positions from 0, as if it stood alone.
    positions = torch.cat([torch.arange(length).repeat(n) for n, length in runs])
    positions = positions[None].to(device)
    check_inputs(bert.config, ids, None, None, positions)
    hidden = bert.embeddings(ids, None, positions)[0]
    for layer in bert.encoder.layers:
        attended = _attention_in_runs(layer.attention, hidden, runs)
        hidden = layer.attention_norm(hidden + attended)
        hidden = layer.feedforward_norm(hidden + layer.feedforward(hidden))
    return _split_runs(hidden, runs)


def _attention_in_runs(
    attention: Attention, hidden: Tensor, runs: list[tuple[int, int]]
) -> Tensor:
    """`Attention.forward` of texts in a row, `t w` to `t w`."""
    parts = attention.query, attention.key, attention.value
    projected = [_split_runs(part(hidden), runs) for part in parts]
    mixed = []
    for run in zip(*projected, strict=True):
        query, key, value = (
            rearrange(part, "b s (h d) -> b h s d", h=attention.heads) for part in run
        )
        run_mixed = F.scaled_dot_product_attention(query, key, value)
        mixed.append(rearrange(run_mixed, "b h s d -> (b s) (h d)"))
    return attention.output(torch.cat(mixed))


def _split_runs(states: Tensor, runs: list[tuple[int, int]]) -> list[Tensor]:
    """`t w` to one tensor `b s w` for each run."""
    parts = states.split([number * length for number, length in runs])
    return [
        rearrange(part, "(b s) w -> b s w", b=number)
        for part, (number, _) in zip(parts, runs, strict=True)
    ]


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
        ValueError: if the inputs are not what `Bert` takes.
    """
    if type(bert) is not Bert:
        states = bert(input_ids, token_type_ids, attention_mask, position_ids)
        return _gathered(states, columns)
    check_inputs(bert.config, input_ids, token_type_ids, attention_mask, position_ids)
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


def text_states(
    bert: Pretrained,
    columns: Tensor,
    input_ids: Tensor,
    token_type_ids: Tensor | None = None,
    attention_mask: Tensor | None = None,
    position_ids: Tensor | None = None,
) -> Tensor:
    """What a classifier reads of each text in packed rows, `b m w`.

    That is the state at `columns`, the first of each text; where the config says
    `pooling="mean"`, as some of ModernBERT's do, the mean over the text, which is
    number m + 1 of its row. Arguments and errors are those of `states_at`.
    """
    if getattr(bert.config, "pooling", "cls") == "cls":
        return states_at(
            bert, columns, input_ids, token_type_ids, attention_mask, position_ids
        )
    hidden = bert(input_ids, token_type_ids, attention_mask, position_ids)
    if attention_mask is None:
        attention_mask = torch.ones_like(input_ids)
    number = torch.arange(1, columns.shape[1] + 1, device=hidden.device)
    own = rearrange(number, "m -> m 1") == rearrange(attention_mask, "b s -> b 1 s")
    share = own / own.sum(dim=-1, keepdim=True).clamp(min=1)
    return share.to(hidden.dtype) @ hidden  # one row for each text


def _gathered(hidden: Tensor, columns: Tensor) -> Tensor:
    """`b s w` to `b m w`."""
    return hidden.take_along_dim(columns[:, :, None], dim=1)


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
