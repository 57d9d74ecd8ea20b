"""What does a random split of a set that repeats itself claim?

    python benchmarks/leak.py                    print a table
    python benchmarks/leak.py --card FILE.json   and record the run

A packaged file of TREC's questions holds most of them three times. Counted words and
logistic regression, five seeds: a random third of the rows as they stand is the test;
only those rows of it that are not in training; the rows without doubles, split at
random; and TREC's own test of 500 questions, which no other row repeats.
"""

import argparse
import random
import statistics
from collections import defaultdict
from pathlib import Path

from sets import repeated_questions

from bertcore.cards import make_card, write_card
from bertcore.tasks import score
from bertcore.tasks.baselines import bag_of_words
from bertcore.tasks.rows import TaskSet, Text, normal
from bertcore.tasks.sets import questions, unique

SEEDS = 5


def accuracy(train: list[Text], test: list[Text]) -> float:
    """In percent."""
    data = TaskSet("questions", "classification", (), train, [], test, "", "")
    return 100 * score(data.kind, test, bag_of_words(data, test))["accuracy"]


def one(rows: list[Text], single: list[Text], seed: int) -> dict[str, float]:
    """Accuracies of one random split, and which share of its test is in training."""
    rng = random.Random(seed)
    rows, single = rng.sample(rows, len(rows)), rng.sample(single, len(single))
    third = len(rows) // 3
    test, train = rows[:third], rows[third:]
    seen = {normal(row.text) for row in train}
    fresh = [row for row in test if normal(row.text) not in seen]
    alone = len(single) // 3
    return {
        "random split of the rows: accuracy": accuracy(train, test),
        "of its test rows, in training": 100 * (1 - len(fresh) / len(test)),
        "its other test rows alone: accuracy": accuracy(train, fresh),
        "random split without doubles: accuracy": accuracy(
            single[alone:], single[:alone]
        ),
    }


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--card", type=Path, help="a JSON file to record the run in")
    given = parser.parse_args()
    rows = repeated_questions()
    single = unique(rows, lambda row: normal(row.text))
    found = defaultdict(list)
    for seed in range(SEEDS):
        for name, value in one(rows, single, seed).items():
            found[name].append(value)
    official = questions()
    found["TREC's own test: accuracy"] = [
        accuracy(official.train + official.valid, official.test)
    ]
    results = {
        name: [round(f(values), 1) for f in (min, statistics.median, max)]
        for name, values in found.items()
    }
    results |= {"rows": len(rows), "different questions": len(single)}
    for name, values in results.items():
        print(f"{name:44} {values}")
    if given.card:
        card = make_card(
            "A random split of questions that are there three times, beside honest "
            "ones: percent, minimum, median and maximum over seeds",
            official.source,
            results,
            ("scikit-learn",),
            seeds=SEEDS,
        )
        write_card(given.card, card)


if __name__ == "__main__":
    main()
