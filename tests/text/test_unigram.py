"""The line that masked-LM training reaches first."""

import math

import numpy as np
import pytest

from bertcore.training.evaluate import unigram_loss


def test_the_loss_by_hand() -> None:
    train, held_out = np.array([4, 4, 4, 1]), np.array([4, 1, 0])
    expected = -(math.log(4 / 9) + math.log(2 / 9) + math.log(1 / 9)) / 3
    assert math.isclose(unigram_loss(train, held_out, 5), expected)


def test_it_nears_the_entropy_of_the_source() -> None:
    rng = np.random.default_rng(0)
    share = np.array([0.5, 0.25, 0.125, 0.125])
    train, held_out = (rng.choice(4, 200_000, p=share) for _ in range(2))
    entropy = -(share * np.log(share)).sum()
    assert abs(unigram_loss(train, held_out, 4) - entropy) < 0.01


def test_nothing_to_predict() -> None:
    with pytest.raises(ValueError, match="no held-out ids; give some"):
        unigram_loss(np.array([1]), np.array([], dtype=int), 3)
