"""Chapter 2: what hand-ins are tried on."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instructors.grading import Exercise, accepts


def generator_of(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 + seed)


def embeddings_of(given: dict, generator: torch.Generator, **changes) -> nn.Module:
    """The chapter's class with weights that let nothing be forgotten unnoticed."""
    sizes = {"vocab_size": 40, "hidden_size": 24, "heads": 2, "max_positions": 20}
    right = given["Embeddings"](given["BertConfig"](**{**sizes, **changes})).eval()
    with torch.no_grad():
        for weight in right.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
        right.norm.weight.abs_().add_(0.5)
    return right


def rows_cases(seed: int, given: dict) -> list[tuple]:
    generator = generator_of(seed)
    size = 3 + seed % 3, 9
    few = torch.randint(100, 112, size, generator=generator)
    few[0, 0], few[1, 1], few[2, 2] = 101, 102, 0
    return [
        (few,),
        (torch.randint(30000, (4, 50), generator=generator),),
        (torch.full((2, 7), 5),),
        (torch.tensor([[7, 3, 7, 3, 7]]),),
        (torch.arange(4 * (2 + seed % 3)).view(-1, 4),),
    ]


def width_cases(seed: int, given: dict) -> list[tuple]:
    generator = generator_of(seed)

    def table(rows: int, width: int, size: float = 1.0) -> Tensor:
        """Off centre, and rows of different lengths."""
        lengths = torch.rand(rows, 1, generator=generator) + 0.3
        away = 4 * torch.randn(width, generator=generator)
        return size * torch.randn(rows, width, generator=generator) * lengths + away

    return [
        (table(9, 3), table(6, 3)),
        (table(7, 4), table(7, 4, 0.4)),
        (table(30, 6, 2.0), table(12, 6)),
        (table(5, 40), table(4, 40)),
        (table(20, 2, 3.0), table(8, 2, 0.2)),
    ]


def one_table_cases(seed: int, given: dict) -> list[tuple]:
    generator = generator_of(seed)
    cases = []
    for number, changes in enumerate(({}, {"segments": 3}, {"layer_norm_eps": 0.1})):
        right = embeddings_of(given, generator, **changes)
        ids = torch.randint(40, (3, 7), generator=generator)
        kinds = torch.randint(len(right.segment.weight), (3, 7), generator=generator)
        places = torch.rand(3, 20, generator=generator).argsort(dim=-1)[:, :7]
        cases += [(right, (ids, kinds, places)), (right, (ids,))]
        cases += [(right, (ids[:1], kinds[:1]))] * (number == 0)
    return cases


def with_gradients(solution, right: nn.Module, inputs: tuple) -> dict:
    """Vectors, and gradients by the parameter's name; no one else's weights change."""
    model, before = solution(right), deepcopy(inputs)
    vectors = model(*inputs)
    weights = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(5))
    (weights * vectors).sum().backward()
    gradients = {name: part.grad for name, part in model.named_parameters()}
    touched = [name for name, part in right.named_parameters() if part.grad is not None]
    weights = {name: part.detach().clone() for name, part in right.named_parameters()}
    with torch.no_grad():  # as a step of training would
        for part in model.parameters():
            part.add_(1.0)
    touched += [n for n, part in right.named_parameters() if not part.equal(weights[n])]
    pairs = enumerate(zip(inputs, before, strict=True))
    touched += [f"input {i}" for i, (new, old) in pairs if not new.equal(old)]
    return {"vectors": vectors, "gradients": gradients, "touched": touched}


FAULTS = (
    "none", "another device", "no norm", "no segments", "batch", "from 1", "scaled",
    "dropout", "begin again", "pad zero", "texts mixed up",
)  # fmt: skip


def candidates(seed: int, given: dict) -> list[tuple]:
    generator, cases = generator_of(seed), []
    for changes in ({}, {"hidden_size": 8, "segments": 3, "max_positions": 13}):
        right = embeddings_of(given, generator, **changes)
        cases += [(_copied(right, fault), right) for fault in FAULTS]
    # Here LayerNorm changes lengths alone: a cosine does not see that it is missing.
    right = embeddings_of(given, generator)
    with torch.no_grad():
        right.norm.weight.fill_(1.0)
        right.norm.bias.zero_()
        for table in (right.token, right.position, right.segment):
            table.weight.sub_(table.weight.mean(dim=-1, keepdim=True))
    return [*cases, (_copied(right, "none"), right), (_copied(right, "no norm"), right)]


def _copied(right: nn.Module, fault: str):
    def candidate(input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        texts, length = input_ids.shape
        place = torch.arange(length)[None] + (fault == "from 1")
        place = place % (8 if fault == "begin again" else len(right.position.weight))
        if fault == "batch":
            place = torch.arange(texts)[:, None] % len(right.position.weight)
        kinds = token_type_ids * (fault != "no segments")
        scale = right.token.embedding_dim**0.5 if fault == "scaled" else 1
        pad = (input_ids != 0)[..., None] if fault == "pad zero" else 1
        states = scale * right.token(input_ids) * pad + right.position(place)
        states = states + right.segment(kinds)
        states = states if fault == "no norm" else right.norm(states)
        if fault == "texts mixed up":
            states = states.flip(0)
        if fault == "another device":
            states = states + 1e-6 * states.sign()
        return F.dropout(states, 0.1, training=fault == "dropout")

    return candidate


def unmix_cases(seed: int, given: dict) -> list[tuple]:
    generator, cases = generator_of(seed), []
    for tokens, positions, segments, away, level in (
        (300, 50, 2, 0.0, 0.0), (120, 64, 2, 0.3, 0.0), (200, 40, 3, 0.3, 1.0),
    ):  # fmt: skip
        right = given["Embeddings"](
            given["BertConfig"](vocab_size=tokens, hidden_size=256, heads=2,
                                max_positions=positions, segments=segments)
        ).eval()  # fmt: skip
        with torch.no_grad():
            for table, size in ((right.token, 1.0), (right.position, 0.5)):
                rows = torch.randn(table.weight.shape, generator=generator)
                common = away * torch.randn(256, generator=generator)
                # Each row has a mean of its own, of which LayerNorm leaves nothing.
                means = level * torch.randn(len(rows), 1, generator=generator)
                table.weight.copy_(size * rows + common + means)
            # Rows that are nearly the same: hidden unless the rest is known.
            rows = torch.randn(segments, 256, generator=generator)
            rows[1:] = rows[0] + 0.12 * rows[1:]
            right.segment.weight.copy_(rows)
            gain = torch.randn(256, generator=generator).exp()
            right.norm.weight.copy_(gain)
            right.norm.bias.copy_(2 * torch.randn(256, generator=generator))
        ids = torch.randint(tokens, (6, 20), generator=generator)
        places = torch.rand(6, positions, generator=generator).argsort(dim=-1)[:, :20]
        kinds = torch.randint(segments, (6, 20), generator=generator)
        with torch.no_grad():
            cases.append((right(ids, kinds, places), right, (ids, places, kinds)))
    return cases


def found_again(solution, states: Tensor, right: nn.Module, truth: tuple) -> list:
    """For ids, places and segments: are at least 98 of 100 right?"""
    with torch.no_grad():
        found = solution(states, right)
    pairs = zip(found, truth, strict=True)
    return [
        one.shape == other.shape and (one == other).double().mean().item() >= 0.98
        for one, other in pairs
    ]


EXERCISES = {
    "rows_that_learn": Exercise(rows_cases),
    "read_right": Exercise(width_cases),
    "OneTable": Exercise(one_table_cases, with_gradients),
    "test_embeddings": Exercise(candidates, accepts),
    "unmix": Exercise(unmix_cases, found_again),
}
