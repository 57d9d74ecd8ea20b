"""Tales: made-up stories, simple enough to be learned in a minute (chapter 6).

Real prose is too hard for a minute of training on a CPU. These stories are made by
rules from a few hundred words, so what a hidden word must be can often be known: from
the grammar, from what goes together (a baker bakes bread), or only by looking back in
the story (the colour of the lantern). A book that shows results on them says so.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

SOURCE = "tales made by rules (bertcore.text.tales)"
LICENCE = "CC BY 4.0"

_HEROES = {
    "she": "Anna Clara Edith Flora Greta Ida Maria Nora Rosa Tilda Vera Wilma",
    "he": "Adam Bruno David Emil Felix Hugo Jonas Karl Martin Oscar Paul Simon",
}
_ALL_HEROES = " ".join(_HEROES.values()).split()
_OWN = {"she": "her", "he": "his"}
_COLOURS = "red blue green yellow white black brown grey"
_THINGS = "lantern basket coat hat boat cart kite bag"


class _Trade(NamedTuple):
    name: str
    work: str
    product: str


class _Animal(NamedTuple):
    name: str
    sound: str
    food: str


class _Place(NamedTuple):
    home: str
    way: str
    sights: tuple[str, str]


class _Weather(NamedTuple):
    morning: str
    ground: str
    after: str


_TRADES = (
    _Trade("baker", "bakes bread in a hot oven", "bread"),
    _Trade("fisher", "mends the nets and rows out", "fish"),
    _Trade("weaver", "sits at the loom and weaves", "cloth"),
    _Trade("gardener", "digs the beds and waters the roots", "carrots"),
    _Trade("miller", "grinds the grain between two stones", "flour"),
    _Trade("potter", "turns the wheel and shapes the clay", "bowls"),
    _Trade("smith", "strikes the iron with a hammer", "nails"),
    _Trade("shepherd", "counts the flock and opens the gate", "wool"),
)
_ANIMALS = (
    _Animal("dog", "barks", "a bone"),
    _Animal("cat", "purrs", "some milk"),
    _Animal("horse", "neighs", "some hay"),
    _Animal("duck", "quacks", "old crumbs"),
    _Animal("goat", "bleats", "dry leaves"),
    _Animal("hen", "clucks", "a little corn"),
)
_PLACES = (
    _Place("by the sea", "down to the shore", ("gulls", "waves")),
    _Place("in the hills", "up to the ridge", ("eagles", "clouds")),
    _Place("near the forest", "into the trees", ("deer", "mushrooms")),
    _Place("beside the river", "over the bridge", ("swans", "reeds")),
    _Place("in the old town", "across the square", ("pigeons", "towers")),
    _Place("on a small farm", "through the fields", ("mice", "poppies")),
)
_WEATHERS = (
    _Weather("it rains", "wet", "the sky is clear"),
    _Weather("it snows", "white", "the stars are bright"),
    _Weather("the sun shines", "dry", "the air is warm"),
    _Weather("the wind blows", "cold", "all is still"),
)


def tales(count: int, seed: int = 0) -> list[list[str]]:
    """Stories as lists of sentences; the same seed gives the same stories.

    Raises:
        ValueError: if fewer than one is asked for.

    >>> print(*tales(1, seed=6)[0][:2])
    Nora is a baker and lives in the hills. She owns a black cart and keeps a dog.
    """
    if count < 1:
        raise ValueError(f"count={count}; give 1 or more")
    rng = Random(seed)
    return [list(_tale(rng)) for _ in range(count)]


def _tale(rng: Random) -> Iterator[str]:
    """From the morning to the night of one day."""
    who = rng.choice(("she", "he"))
    name, friend = rng.choice(_HEROES[who].split()), rng.choice(_ALL_HEROES)
    trade, animal, place, weather = map(
        rng.choice, (_TRADES, _ANIMALS, _PLACES, _WEATHERS)
    )
    colour, thing = rng.choice(_COLOURS.split()), rng.choice(_THINGS.split())
    own, one, other = _OWN[who], *rng.sample(place.sights, 2)
    yield f"{name} is a {trade.name} and lives {place.home}."
    yield rng.choice((
        f"{who.title()} has a {animal.name} and a {colour} {thing}.",
        f"{who.title()} owns a {colour} {thing} and keeps a {animal.name}.",
    ))  # fmt: skip
    if rng.random() < 0.7:
        yield f"The {animal.name} {animal.sound} when {name} wakes up."
    yield f"In the morning {weather.morning}, and the ground is {weather.ground}."
    yield rng.choice((
        f"{name} goes to work and {trade.work}.",
        f"First {who} {trade.work}.",
    ))  # fmt: skip
    if rng.random() < 0.7:
        yield f"A {trade.name} who works well can sell {own} {trade.product}."
    yield f"At noon {who} eats, and the {animal.name} gets {animal.food}."
    yield f"Then {name} takes the {colour} {thing} and walks {place.way}."
    yield rng.choice((
        f"There {who} sees {one} and {other}.",
        f"There are {one} and {other}, and {who} stays a while.",
    ))  # fmt: skip
    if friend != name:
        yield f"{friend} comes along and asks about the {thing}."
        yield rng.choice((
            f"The {colour} {thing} belongs to {name}, says {friend}.",
            f"{friend} likes the {colour} {thing} and buys some {trade.product}.",
        ))  # fmt: skip
    yield f"In the evening {weather.after}, and {name} walks home."
    yield rng.choice((
        f"The {animal.name} {animal.sound} and wants {animal.food}.",
        f"At the door the {animal.name} {animal.sound}.",
    ))  # fmt: skip
    yield f"At night {name} puts away the {colour} {thing} and sleeps."
