"""Electra pair: the generator beside the discriminator that it teaches (chapter 8)."""

from torch import nn

from bertcore.model.variants.electra import (
    Electra,
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForPreTraining,
)


class ElectraPair(nn.Module):
    """Generator and discriminator, with the same tables (section 3.2).

    Save each by itself; `generator` shares `discriminator`'s tables in memory only.
    """

    def __init__(
        self, config: ElectraConfig, generator: ElectraConfig | None = None
    ) -> None:
        """
        Args:
            config: of the discriminator.
            generator: its config. Default: a quarter of the discriminator's width,
                heads and feed-forward size.

        Raises:
            ValueError: if the tables cannot be shared.
        """
        super().__init__()
        generator = generator or quarter(config)
        for field in ("vocab_size", "embedding_size", "max_positions", "segments"):
            own, theirs = getattr(generator, field), getattr(config, field)
            if own != theirs:
                raise ValueError(
                    f"generator {field}={own} and discriminator {field}={theirs}; "
                    "they share their tables, so give both the same"
                )
        self.config = config
        self.generator = ElectraForMaskedLM(generator)
        self.discriminator = ElectraForPreTraining(config)
        tables = self.discriminator.bert.embeddings.tables
        self.generator.bert.embeddings.tables = tables

    @property
    def bert(self) -> Electra:
        """The body that is kept."""
        return self.discriminator.bert


def quarter(config: ElectraConfig) -> ElectraConfig:
    """The config of a generator of a quarter of the width."""
    width, inner = config.hidden_size // 4, config.feedforward_size // 4
    heads = next(n for n in range(max(1, config.heads // 4), 0, -1) if width % n == 0)
    return config.replace(hidden_size=width, heads=heads, feedforward_size=inner)
