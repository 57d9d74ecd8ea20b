"""Paired: sources and their targets, several of them in a row (chapter 7)."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from bertcore.text.batch import Packed, Place, fullest_fit, laid_out, padded


class PackedPairs(NamedTuple):
    """A packed batch; and where each source stands in it, and each target."""

    batch: dict[str, Tensor]
    sources: list[Place]
    targets: list[Place]


def packed_pairs(
    sources: Sequence[list[int]],
    targets: Sequence[list[int]],
    pad_id: int,
    length: int,
) -> PackedPairs:
    """Put several texts in a row of sources, and their targets in the same of targets.

    As `packed`, where the larger of source and target is the size of a text. A text has
    the same number in both rows, which tells its target where its source is. Rows of
    sources are as long as the fullest of them, and so are rows of targets.

    Args:
        sources: the ids of each, special tokens included.
        targets: those of each source's target, as the decoder reads them.
        pad_id: the id that fills up.
        length: the most tokens of a packed row.

    Returns:
        What `EncoderDecoder.forward` takes. Of the sources, `b k` each: `input_ids`,
        `token_type_ids`, `attention_mask` and `position_ids`, as `packed` gives them.
        Of the targets, `b q` each: `decoder_input_ids`, `decoder_attention_mask` and
        `decoder_position_ids`.

    Raises:
        ValueError: if there is no text, there are not as many targets as sources, or
            one is empty or longer than a row.

    >>> batch, _, _ = packed_pairs([[7, 8, 9], [5]], [[1], [2, 3]], 0, length=5)
    >>> batch["input_ids"].tolist(), batch["decoder_input_ids"].tolist()
    ([[7, 8, 9, 5]], [[1, 2, 3]])
    >>> batch["attention_mask"].tolist(), batch["decoder_attention_mask"].tolist()
    ([[1, 1, 1, 2]], [[1, 2, 2]])
    """
    _check(sources, targets)
    sizes = [max(map(len, pair)) for pair in zip(sources, targets, strict=True)]
    shared = fullest_fit(sizes, length)
    read, written = (_side(texts, shared, pad_id) for texts in (sources, targets))
    del written.batch["token_type_ids"]
    decoder = {f"decoder_{name}": value for name, value in written.batch.items()}
    return PackedPairs({**read.batch, **decoder}, read.places, written.places)


def _side(texts: Sequence[list[int]], shared: list[Place], pad_id: int) -> Packed:
    """The texts in the rows, and in the order, of the shared places."""
    ends = [0] * (1 + max(place.row for place in shared))
    places: dict[int, Place] = {}
    for number in sorted(range(len(texts)), key=shared.__getitem__):
        row = shared[number].row
        start, ends[row] = ends[row], ends[row] + len(texts[number])
        places[number] = Place(row, start, ends[row])
    batch = padded([(ids, []) for ids in texts], pad_id)
    return laid_out(batch, [places[n] for n in range(len(texts))], max(ends), pad_id)


def _check(sources: Sequence[list[int]], targets: Sequence[list[int]]) -> None:
    if not sources:
        raise ValueError("no texts: an empty batch; give at least one text")
    if len(sources) != len(targets):
        raise ValueError(
            f"{len(sources)} sources and {len(targets)} targets; give each source its "
            "target"
        )
    for name, texts in (("source", sources), ("target", targets)):
        for number, ids in enumerate(texts):
            if not ids:
                raise ValueError(f"{name} {number} has no tokens; leave it out")
