"""Places: where features in a row are asked, and what is right there (chapter 10)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bertcore.text.batch import Place
from bertcore.text.features import Feature


def text_places(
    places: Sequence[Place], _: Sequence[Feature], length: int
) -> dict[str, Tensor]:
    """The arguments of `TextObjective.scores`, besides the batch."""
    rows: list[list[int]] = [[] for _ in range(1 + max(place.row for place in places))]
    for place in places:
        rows[place.row].append(place.start)
    columns = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, starts in enumerate(rows):
        columns[row, : len(starts)] = torch.tensor(starts)
    seen = [0] * len(rows)
    taken = []
    for place in places:
        taken.append(place.row * columns.shape[1] + seen[place.row])
        seen[place.row] += 1
    return {"columns": columns, "taken": torch.tensor(taken)}


def token_places(
    places: Sequence[Place], features: Sequence[Feature], length: int
) -> dict[str, Tensor]:
    """The arguments of `TokenObjective.scores`, besides the batch."""
    asked = [
        place.row * length + place.start + each
        for place, feature in zip(places, features, strict=True)
        for each in feature.asked
    ]
    return {"asked": torch.tensor(asked)}


def span_places(
    places: Sequence[Place], features: Sequence[Feature], length: int
) -> dict[str, Tensor]:
    """The arguments of `SpanObjective.scores`, besides the batch."""
    sizes = torch.tensor([place.end - place.start for place in places])
    starts = torch.tensor([place.row * length + place.start for place in places])
    steps = torch.arange(int(sizes.max()))[None]
    inside = steps < sizes[:, None]
    return {
        "asked": (starts[:, None] + steps).where(inside, starts[:, None]),
        "inside": inside,
    }


def classes(features: Sequence[Feature]) -> Tensor:
    """The class at each place, feature by feature."""
    return torch.tensor([n for feature in features for n in feature.targets]).long()


def numbers(features: Sequence[Feature]) -> Tensor:
    """The number of each feature."""
    return torch.tensor([n for feature in features for n in feature.targets]).float()


def ends(features: Sequence[Feature]) -> Tensor:
    """The first and the last place of each answer, `p 2`."""
    return torch.tensor([feature.targets for feature in features])
