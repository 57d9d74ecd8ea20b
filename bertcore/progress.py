"""Progress: a bar for long work, where somebody wants to see it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm


def bar(progress: bool, **settings: Any) -> AbstractContextManager[tqdm | None]:
    """A bar on stderr, with tqdm's `settings`, or nothing.

    Raises:
        ValueError: if one is wanted and tqdm is not installed.
    """
    if not progress:
        return nullcontext()
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ValueError(
            "progress=True needs tqdm; run pip install tqdm, or leave progress out"
        ) from error
    return tqdm(**settings)
