"""Sentences: texts to vectors, fast (chapter 5).

Padding is work for nothing. So many texts are cut into pieces at once and sorted by
length; a batch is as many of them as make about a thousand tokens, one after another in
one row, in which only attention is computed for each length on its own. The vectors go
back into the order in which the texts came. How a vector is pooled and scaled is read
from the files of sentence-transformers.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set, Sized
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from bertcore.files import read_any_json, read_json
from bertcore.model.inference import evaluation, fits_in_rows, row_states
from bertcore.model.pooling import cls_pool, max_pool, mean_pool
from bertcore.model.variants.families import load_model
from bertcore.model.weights import Pretrained
from bertcore.sources import ENCODER, find_file, find_optional
from bertcore.text.batch import padded
from bertcore.text.fast_tokenizer import AnyTokenizer, load_tokenizer
from bertcore.text.wordpiece import check_rows

WINDOW = 8192  # texts that are read, and sorted, at a time
# Tokens of a batch. On a CPU its states should fit into the cache; an accelerator
# wants many, or it waits for the next call.
BATCH = {"cpu": 1024, "accelerator": 32768}
Pool = Callable[[Tensor, Tensor], Tensor]
_POOLS: dict[str, Pool] = {"cls": cls_pool, "mean": mean_pool, "max": max_pool}
_STEPS = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
# Older files of sentence-transformers have a switch for each kind of pooling.
_SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
}
# The file about the transformer: its names, and keys refused unless at these values.
_BODY = [f"sentence_{kind}_config.json" for kind in ("bert", "roberta", "distilbert")]
_FIXED = {
    "transformer_task": "feature-extraction",
    "module_output_name": "token_embeddings",
    "modality_config": {
        "text": {"method": "forward", "method_output_name": "last_hidden_state"}
    },
    "processing_kwargs": {},
    "query_expansion": None,
    "tokenizer_name_or_path": None,
    **{f"{part}_args": {} for part in ("model", "tokenizer", "config")},
    **{f"{part}_kwargs": {} for part in ("model", "processor", "config")},
    # Of a Normalize, and of the whole.
    "module_input_name": "sentence_embedding",
    "truncate_dim": None,
    "model_type": "SentenceTransformer",
}
_REMEDY = "give the parts yourself: SentenceEncoder(tokenizer, bert, pool=…)"


class SentenceEncoder:
    """A tokenizer, a BERT of any family and a way to make one vector of its states.

    Args:
        tokenizer: the one that the weights came with.
        bert: the model. Vectors are computed where its parameters are.
        pool: states `b s w` and mask `b s` to vectors `b w`, such as `mean_pool`.
        normalise: whether to divide each vector by its length, so that the product
            of two is the cosine of the angle between them.
        max_length: longer texts are cut to this many tokens, [CLS] and [SEP]
            included. By default as many as the model has positions.

    Raises:
        ValueError: if `max_length` leaves no room for a piece, or if there are fewer
            positions.
    """

    def __init__(
        self,
        tokenizer: AnyTokenizer,
        bert: Pretrained,
        pool: Callable[[Tensor, Tensor], Tensor] = mean_pool,
        normalise: bool = True,
        max_length: int | None = None,
    ) -> None:
        positions = bert.config.max_positions
        self.tokenizer = tokenizer
        self.bert = bert
        self.pool = pool
        self.normalise = normalise
        self.max_length = positions if max_length is None else max_length
        # The tokenizer would refuse each text only when it comes, so late in a stream.
        if (
            not isinstance(self.max_length, int)
            or not 3 <= self.max_length <= positions
        ):
            raise ValueError(
                f"max_length={max_length!r}, but a text has 3 tokens at least, [CLS], "
                f"a piece and [SEP], and the model has {positions} positions; give "
                f"3 to {positions}"
            )

    @classmethod
    def from_pretrained(
        cls, folder_or_name: str | Path = ENCODER, max_length: int | None = None
    ) -> Self:
        """The encoder of a checkpoint, as sentence-transformers would build it.

        Special tokens written in a text and words of 101 to 200 letters are read as
        BERT's own tokenizer reads them, not as that library does.

        Without that library's files: the mean over all tokens, normalised.

        Args:
            folder_or_name: a folder, or a name on the Hugging Face hub.
            max_length: tokens that a text is cut to; by default what the files say.

        Raises:
            FileNotFoundError: if there is no such checkpoint.
            ValueError: if its files ask for what we do not have, or are damaged.
        """
        settings = read_pooling_settings(folder_or_name)
        tokenizer = load_tokenizer(folder_or_name)
        if settings.lowercase and not getattr(tokenizer, "lowercase", False):
            raise ValueError(
                f"{folder_or_name} lower-cases texts before its tokenizer, which keeps "
                f"capitals; lower-case them yourself, and {_REMEDY}"
            )
        with warnings.catch_warnings():  # it may lack a pooler, and none is needed
            warnings.filterwarnings("ignore", "(?s).* has no pooler")
            bert = load_model(folder_or_name, lambda family: family.body)
        bert.pooler = None
        check_rows(tokenizer, bert.config.vocab_size)
        if max_length is None and settings.max_length is not None:
            max_length = min(settings.max_length, bert.config.max_positions)
        return cls(tokenizer, bert, settings.pool, settings.normalise, max_length)

    def __repr__(self) -> str:
        pool = getattr(self.pool, "__name__", type(self.pool).__name__)
        unit = ", normalised" if self.normalise else ""
        return f"SentenceEncoder({pool}{unit}, up to {self.max_length} tokens)"

    def encode(self, sentences: Iterable[str], progress: bool = False) -> Tensor:
        """One vector a text, `n w`, in the order given: float32, on the CPU.

        Args:
            sentences: any number of texts; none gives a tensor of no rows.

        Raises:
            ValueError: if `sentences` is one text, or holds what is not a text.
        """
        blocks = list(self.stream(sentences, progress))
        return torch.cat(blocks or [torch.empty(0, self.bert.config.hidden_size)])

    def stream(
        self, sentences: Iterable[str], progress: bool = False
    ) -> Iterator[Tensor]:
        """What `encode` gives, in blocks, for more texts than fit into memory.

        No more than `WINDOW` texts are read, and held, before their block is given.
        Arguments and errors are those of `encode`.
        """
        unordered = isinstance(sentences, (str, bytes, Set, Mapping))
        unordered |= getattr(sentences, "ndim", 1) != 1  # a table has names of columns
        if unordered or not isinstance(sentences, Iterable):
            raise ValueError(
                f"sentences is a {type(sentences).__name__}; give a list of texts, "
                "also for one: [text]"
            )
        total = len(sentences) if isinstance(sentences, Sized) else None
        bar = tqdm(total=total, unit=" sentences", disable=not progress)
        return self._blocks(iter(sentences), bar)

    def _blocks(self, sentences: Iterator[str], bar: tqdm) -> Iterator[Tensor]:
        with bar:
            first = 0
            while texts := list(islice(sentences, WINDOW)):
                rows = []
                for index, text in enumerate(texts, first):
                    if not isinstance(text, str):
                        raise ValueError(
                            f"sentence {index} is a {type(text).__name__}, not a str; "
                            "give texts, and leave out what is missing"
                        )
                    rows.append(self.tokenizer.encode(text, max_length=self.max_length))
                first += len(texts)
                del texts  # before the next are read
                yield self._vectors(rows, bar)

    def _vectors(self, rows: list[list[int]], bar: tqdm) -> Tensor:
        """The vectors of a window, in its order.

        Nothing that is switched here, evaluation or inference mode, lasts until a
        block is handed out: between blocks the program is the caller's.
        """
        device = next(self.bert.parameters()).device
        room = BATCH["cpu" if device.type == "cpu" else "accelerator"]
        batches = batches_by_length([len(ids) for ids in rows], room)
        pooled = []
        with evaluation(self.bert), torch.inference_mode():
            for batch in batches:
                pooled += self._pooled([rows[index] for index in batch])
                bar.update(len(batch))
        pooled = torch.cat(pooled).to("cpu", torch.float32)
        vectors = torch.empty(pooled.shape)  # an ordinary tensor, fit for gradients
        vectors[torch.tensor([index for batch in batches for index in batch])] = pooled
        return vectors

    def _pooled(self, rows: list[list[int]]) -> list[Tensor]:
        """The vectors of a batch, `b w` for each run of texts of one length."""
        if fits_in_rows(self.bert):
            states = row_states(self.bert, rows)
            masks = [run.new_ones(run.shape[:2], dtype=torch.long) for run in states]
        else:  # another family: padding and a mask
            inputs = padded([(ids, []) for ids in rows], self.tokenizer.pad_id)
            device = next(self.bert.parameters()).device
            ids, mask = inputs["input_ids"], inputs["attention_mask"].to(device)
            states, masks = [self.bert(ids.to(device), attention_mask=mask)], [mask]
        pooled = [
            self.pool(run.float(), mask)
            for run, mask in zip(states, masks, strict=True)
        ]
        return [F.normalize(p, dim=-1) for p in pooled] if self.normalise else pooled


def encode(
    sentences: Iterable[str],
    model: SentenceEncoder | str | Path = ENCODER,
    progress: bool = False,
) -> Tensor:
    """One vector a text, `n w`: `SentenceEncoder.encode` in one line.

    Args:
        model: a hub name or a folder, loaded at each call; to call more than once,
            load an encoder once and give that.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if its files ask for what we do not have, or are damaged.
    """
    if not isinstance(model, (SentenceEncoder, str, Path)):
        raise ValueError(
            f"model is a {type(model).__name__}; give a name, a folder or a "
            "SentenceEncoder, as SentenceEncoder(tokenizer, bert) makes one"
        )
    if not isinstance(model, SentenceEncoder):
        model = SentenceEncoder.from_pretrained(model)
    return model.encode(sentences, progress)


def batches_by_length(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Batches of texts, as indices, the longest first: few lengths in each.

    A batch has no more than `room` tokens, unless one text alone has more.

    >>> batches_by_length([7, 9, 512, 9], room=520)
    [[2], [1, 3, 0]]
    """
    batches: list[list[int]] = []
    tokens = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if not batches or tokens + lengths[index] > room:
            batches.append([])
            tokens = 0
        batches[-1].append(index)
        tokens += lengths[index]
    return batches


class PoolingSettings(NamedTuple):
    """How states become a vector, whether its length is 1, and where texts are cut.

    `max_length` counts tokens; None is as many as the model has positions. `lowercase`
    is whether texts are lower-cased before the tokenizer sees them.
    """

    pool: Pool = mean_pool
    normalise: bool = True
    max_length: int | None = None
    lowercase: bool = False


def read_pooling_settings(folder_or_name: str | Path) -> PoolingSettings:
    """What the files of sentence-transformers say; the defaults if there are none.

    Raises:
        FileNotFoundError: if there is no such checkpoint, or if the hub cannot be
            reached to say whether it has the files.
        ValueError: if they ask for a step or a kind of pooling that we do not have.
    """
    path = find_optional(folder_or_name, "modules.json")
    if path is None:
        return PoolingSettings()
    steps = _read_steps(path)
    names = [name for name, _ in steps]
    places = dict(steps)
    if names not in _STEPS:
        raise ValueError(
            f"{path} asks for the steps {', '.join(names) or '(none)'}; we have "
            f"Transformer, Pooling and, after them, Normalize: {_REMEDY}"
        )
    _check_prompt(folder_or_name)
    if "Normalize" in names:
        about = _optional(folder_or_name, f"{places['Normalize']}/config.json")
        _check_fixed(about, module_output_name="sentence_embedding")
    if places["Transformer"]:
        raise ValueError(
            f"{path} has the transformer in a folder of its own, "
            f"{places['Transformer']}; save the model again with sentence-transformers"
        )
    abouts = (_optional(folder_or_name, name) for name in _BODY)
    about = next(filter(None, abouts), {})
    _check_fixed(about)
    return PoolingSettings(
        pool=_read_pool(find_file(folder_or_name, f"{places['Pooling']}/config.json")),
        normalise="Normalize" in names,
        max_length=_read_length(folder_or_name, about),
        lowercase=bool(about.get("do_lower_case")),
    )


def _check_fixed(about: Mapping[str, Any], **others: Any) -> None:
    """ValueError naming the setting that we do not have."""
    for key, value in (_FIXED | others).items():
        if about.get(key) not in (None, value):
            raise ValueError(
                f"the files of sentence-transformers say {key}={about[key]!r:.80}, and "
                f"we have {value!r:.80} only: {_REMEDY}"
            )


def _read_steps(path: Path) -> list[tuple[str, str]]:
    """The steps of a `modules.json` in their order, each with its folder."""
    steps = read_any_json(path)
    try:
        return [(step["type"].rpartition(".")[2], step["path"]) for step in steps]
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path} holds no list of steps, each with a type and a path"
        ) from error


def _read_pool(path: Path) -> Pool:
    config = read_json(path)
    kinds = config.get("pooling_mode")
    if kinds is None:
        kinds = [
            _SWITCHES.get(key, key)
            for key, value in config.items()
            if key.startswith("pooling_mode") and value
        ]
    kinds = (kinds if isinstance(kinds, list) else [kinds]) or ["mean"]
    if len(kinds) != 1 or kinds[0] not in _POOLS:
        raise ValueError(
            f"{path} asks for pooling by {' and '.join(map(str, kinds))}; we have one "
            f"of {', '.join(_POOLS)}: {_REMEDY}"
        )
    return _POOLS[kinds[0]]


def _read_length(folder_or_name: str | Path, about: Mapping[str, Any]) -> int | None:
    """`max_seq_length`; where it is not said, the tokenizer's `model_max_length`."""
    length = about.get("max_seq_length")
    if length is None:
        length = _optional(folder_or_name, "tokenizer_config.json").get(
            "model_max_length"
        )
    if not isinstance(length, int | float | None) or length is True:
        raise ValueError(
            f"max_seq_length or model_max_length is {length!r}; it counts tokens, so "
            "write a whole number into the file"
        )
    return None if length is None else int(length)


def _check_prompt(folder_or_name: str | Path) -> None:
    """Words that are put before every text would have to be put there by us."""
    config = _optional(folder_or_name, "config_sentence_transformers.json")
    _check_fixed(config)
    name = config.get("default_prompt_name")
    prompt = (config.get("prompts") or {}).get(name)
    if prompt:
        raise ValueError(
            f"the checkpoint puts {prompt!r} before every text, and we do not; put it "
            f"there yourself, and {_REMEDY}"
        )


def _optional(folder_or_name: str | Path, name: str) -> dict[str, Any]:
    """The table in a file of the checkpoint; empty if it has no such file."""
    path = find_optional(folder_or_name, name)
    return {} if path is None else read_json(path)
