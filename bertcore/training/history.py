"""History: the records of a run, thinned so that they stay few (chapter 9)."""

from typing import Any, Self

from bertcore.training.progress import Record

MOST = 2000


class History:
    """Every n-th record, n a power of two; never more than 2,000.

    `steps` and the other columns are lists of the same length.
    """

    COLUMNS = (
        "step",
        "tokens",
        "seconds",
        "masked_lm",
        "learning_rate",
        "gradient",
        "tokens_per_second",
        "utilisation",
    )

    def __init__(self) -> None:
        self.every = 1
        self.rows: list[tuple[float | None, ...]] = []

    def add(self, record: Record) -> None:
        """Keep the record if it is the n-th."""
        if record.step % self.every:
            return
        self.rows.append(
            (
                record.step,
                record.tokens,
                record.seconds,
                record.losses[0],
                record.learning_rate,
                record.gradient,
                record.tokens_per_second,
                record.utilisation,
            )
        )
        if len(self.rows) > MOST:
            self.every *= 2
            self.rows = [row for row in self.rows if row[0] % self.every == 0]

    def column(self, name: str) -> list[Any]:
        """One of `COLUMNS`, over all rows that were kept."""
        place = self.COLUMNS.index(name)
        return [row[place] for row in self.rows]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"every": self.every, "rows": self.rows}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """What `to_dict` gave."""
        history = cls()
        history.every = content["every"]
        history.rows = [tuple(row) for row in content["rows"]]
        return history
