"""Published: how families of models name their numbers and tensors in files.

The names are those of the transformers library's config.json and checkpoints. BERT's
stand here; each variant's stand in its own module (chapter 0).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

# A published activation -> the `approximate` argument of torch's GELU.
# PyTorch ports use the exact form; Google's code has used tanh since 2019-02-07.
GELU_FORMS = {
    "gelu": "none",
    "gelu_new": "tanh",
    "gelu_pytorch_tanh": "tanh",
    "gelu_python": "none",
    "gelu_fast": "tanh",
    "gelu_python_tanh": "tanh",
}
Values = tuple[Any | Callable[[Mapping[str, Any]], Any], ...]
# Keys of every family, and the values at which they change nothing.
_ALLOWED: dict[str, Values] = {
    "is_decoder": (False, None),
    "is_encoder_decoder": (False, None),
    "pruned_heads": ({}, None),
    "quantization_config": (None,),
    "per_layer_config": ({}, None),
}
# Who reads a BERT that is no encoder alone.
_READERS = {
    "model_type='encoder-decoder'": "EncoderDecoder",
    "is_decoder=True": "Decoder",
}

# The two parts of an encoder-decoder, before the names of a whole BERT each.
_PART = re.compile(
    r"(?:encoder|decoder)\.(?=(?:bert|embeddings|encoder|pooler|mlm_head|cls)\.)"
)
# Our field -> the key of a published config.json.
KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "feedforward_size": "intermediate_size",
    "max_positions": "max_position_embeddings",
    "segments": "type_vocab_size",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "layer_norm_eps": "layer_norm_eps",
    "initializer_range": "initializer_range",
    "head_dropout": "classifier_dropout",
}
# Our module -> the module's name in published files. `{n}` is the layer's number.
NAMES = {
    "embeddings.token": "embeddings.word_embeddings",
    "embeddings.position": "embeddings.position_embeddings",
    "embeddings.segment": "embeddings.token_type_embeddings",
    "embeddings.norm": "embeddings.LayerNorm",
    "encoder.layers.{n}.attention.query": "encoder.layer.{n}.attention.self.query",
    "encoder.layers.{n}.attention.key": "encoder.layer.{n}.attention.self.key",
    "encoder.layers.{n}.attention.value": "encoder.layer.{n}.attention.self.value",
    "encoder.layers.{n}.attention.output": "encoder.layer.{n}.attention.output.dense",
    "encoder.layers.{n}.attention_norm": "encoder.layer.{n}.attention.output.LayerNorm",
    "encoder.layers.{n}.cross.query": "encoder.layer.{n}.crossattention.self.query",
    "encoder.layers.{n}.cross.key": "encoder.layer.{n}.crossattention.self.key",
    "encoder.layers.{n}.cross.value": "encoder.layer.{n}.crossattention.self.value",
    "encoder.layers.{n}.cross.output": "encoder.layer.{n}.crossattention.output.dense",
    "encoder.layers.{n}.cross_norm": (
        "encoder.layer.{n}.crossattention.output.LayerNorm"
    ),
    "encoder.layers.{n}.feedforward.widen": "encoder.layer.{n}.intermediate.dense",
    "encoder.layers.{n}.feedforward.narrow": "encoder.layer.{n}.output.dense",
    "encoder.layers.{n}.feedforward_norm": "encoder.layer.{n}.output.LayerNorm",
    "pooler.dense": "pooler.dense",
    "mlm_head.dense": "cls.predictions.transform.dense",
    "mlm_head.norm": "cls.predictions.transform.LayerNorm",
    "mlm_head": "cls.predictions",
    "nsp_head.dense": "cls.seq_relationship",
    "classifier": "classifier",
    "spans": "qa_outputs",
}


class Published(NamedTuple):
    """The `config.json` and the tensors of a family, as the transformers library has
    them.

    Attributes:
        model_type: the family's name.
        title: that name in words.
        keys: our field -> its key in config.json.
        names: our module -> its name in files; `{n}` is a layer's number.
        body: the prefix of the body's names in the file of a model with a head.
        again: a name under which files hold a tensor once more -> its own name.
        allowed: other keys of config.json -> the values that we can compute with. A
            value may be a function of all keys, such as `width_of_head`.
        heads: the end of a class's name, such as "ForMaskedLM" -> what `allowed` is, of
            keys that only this head reads.
        defaults: what it means that a config.json lacks a key, where that is not what
            our class means by it.
        activation: the key that names the activation.
        table: the token table's name.
        needed: prefixes of names, of each of which a file must hold one.
        others: what else `model_type` calls the same function.
    """

    model_type: str
    title: str
    keys: dict[str, str]
    names: dict[str, str]
    body: str
    again: dict[str, str]
    allowed: dict[str, Values]
    heads: dict[str, dict[str, Values]]
    defaults: dict[str, Any]
    activation: str = "hidden_act"
    table: str = "embeddings.word_embeddings.weight"
    needed: tuple[str, ...] = ("embeddings.", "encoder.")
    others: tuple[str, ...] = ()

    def check(self, published: Mapping[str, Any], head: str = "") -> None:
        """Refuse a config of another architecture instead of loading it wrongly.

        Args:
            published: the keys of a config.json.
            head: the end of the name of the class that is to be built, such as
                "ForMaskedLM". Without, what only heads read is not looked at.

        Raises:
            ValueError: naming the key, what it holds, and what it may hold.
        """
        allowed: dict[str, Values] = {
            "model_type": (self.model_type, *self.others),
            self.activation: tuple(GELU_FORMS),
            **_ALLOWED,
            **self.allowed,
            **self.heads.get(head, {}),
        }
        given = {**self.defaults, **published}
        # What the file says comes first: it is what its author can see there.
        keys = [key for key in allowed if key in given]
        for key in sorted(keys, key=lambda key: key not in published):
            values = [v(given) if callable(v) else v for v in allowed[key]]
            if given[key] not in values:
                self._refuse(key, given[key], values, key in published, head)

    def _refuse(
        self, key: str, value: Any, values: list[Any], said: bool, head: str
    ) -> None:
        says = f"says {key}={value!r}" if said else f"has no {key}, so it is {value!r}"
        reader = self.model_type == "bert" and _READERS.get(f"{key}={value!r}")
        remedy = "the library that wrote this file computes such a model"
        if reader:
            remedy = f"{reader}.from_pretrained reads it"
        elif key == "model_type":
            remedy = "bertcore.model.variants has the classes of others"
        elif key in self.heads.get(head, {}):
            remedy += ", and bertcore reads its body, for a head of its own"
        raise ValueError(
            f"config.json {says}; bertcore's {self.title} needs "
            f"{' or '.join(map(repr, values))}; {remedy}"
        )

    def published_name(self, ours: str) -> str:
        """The name that a parameter of ours has in a published file.

        Raises:
            ValueError: if files have no such part.
        """
        part = part_of(ours)
        whole = ours[len(part) :]
        name = whole.removeprefix("bert.")
        prefix = part + (f"{self.body}." if name != whole else "")
        # The table has a line for all layers: look up with {n} in the number's place.
        module, _, kind = name.rpartition(".")
        number = re.search(r"\.(\d+)\.", f"{module}.")
        template = re.sub(r"\.\d+(?=\.|$)", ".{n}", module, count=1)
        if template not in self.names:
            raise ValueError(
                f"{ours} has no name in published files, so it can be neither read nor "
                "saved; save such parts with torch.save"
            )
        return f"{prefix}{self.names[template].format(n=number and number[1])}.{kind}"

    def canonical(self, published: str) -> str:
        """One spelling of a published name; an encoder-decoder's part stays before it.

        Without the prefix `module.` (of `DataParallel`) and that of the body; and a
        norm's `gamma` and `beta`, as in the first release, are `weight` and `bias`.

        >>> BERT.canonical("module.bert.embeddings.LayerNorm.gamma")
        'embeddings.LayerNorm.weight'
        """
        name = self.spelled(published)
        part = part_of(name)
        bias = name.endswith(".bias") and self.again.get(name[len(part) :])
        return part + bias if bias else name

    def spelled(self, published: str) -> str:
        """`canonical`, but of a tensor that stands there twice each keeps its name."""
        whole = published.removeprefix("module.")
        part = part_of(whole)
        name = whole[len(part) :].removeprefix(f"{self.body}.")
        name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
        return part + re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)

    def copies(self) -> set[str]:
        """Names in files whose tensors need not be read: they are copies or counts."""
        return {"embeddings.position_ids", *self.again}


def part_of(name: str) -> str:
    """The prefix of an encoder-decoder's part, if a name begins with one, else "".

    >>> part_of("encoder.bert.pooler.dense.bias"), part_of("encoder.layer.3.bias")
    ('encoder.', '')
    """
    match = _PART.match(name)
    return match[0] if match else ""


BERT = Published(
    model_type="bert",
    title="BERT",
    keys=KEYS,
    names=NAMES,
    body="bert",
    again={
        "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    allowed={"position_embedding_type": ("absolute",)},
    heads={},
    defaults={},
)
TABLE = BERT.table
LAYERS = {ours: theirs for ours, theirs in BERT.names.items() if "encoder." in ours}


def width_of_head(published: Mapping[str, Any]) -> Any:
    """What a config says of a head's width if it says no more than it must."""
    width, heads = (published.get(KEYS[key]) for key in ("hidden_size", "heads"))
    return width // heads if isinstance(width, int) and heads else None


def labels_of(published: Mapping[str, Any], strict: bool = False) -> dict[str, Any]:
    """`num_labels` and `label_names` from a published config.

    Args:
        published: its keys: `id2label`, or `label2id` if that is all there is.
        strict: refuse names that do not say what each score means; without, such
            names are left out, because a model without these scores needs none.

    Raises:
        ValueError: if `strict`, naming the key and what it should hold.

    >>> labels_of({"id2label": {"1": "yes", "0": "no"}})
    {'num_labels': 2, 'label_names': ('no', 'yes')}
    """
    key = "id2label" if published.get("id2label") else "label2id"
    table = published.get(key)
    count = published.get("num_labels") or len(table or (1, 2))
    if not table:
        return {"num_labels": count}
    try:
        turned = key == "label2id"
        pairs = [pair[::-1] if turned else pair for pair in table.items()]
        names = {int(id): name for id, name in pairs}
        ordered = tuple(names.get(id) for id in range(len(table)))
        right = len(set(ordered)) == count and None not in ordered
    except (AttributeError, TypeError, ValueError):  # no table, or turned round
        right = False
    if not right:
        if strict:
            raise ValueError(
                f"config.json says {key}={table!r}; bertcore needs a name of its own "
                f"for each of {count} labels, counted from 0: write id2label as in "
                '{"0": "neg", "1": "pos"}, or give num_labels=… or label_names=…'
            )
        return {"num_labels": count}
    if all(name == f"LABEL_{i}" for i, name in enumerate(ordered)):
        return {"num_labels": count}
    return {"num_labels": count, "label_names": ordered}


def published_name(ours: str) -> str:
    """The name that a parameter of a BERT of ours has in a published file.

    >>> published_name("bert.encoder.layers.3.attention.query.bias")
    'bert.encoder.layer.3.attention.self.query.bias'
    """
    return BERT.published_name(ours)


def bare(name: str) -> str:
    """A name without the part of an encoder-decoder before it.

    >>> bare("encoder.encoder.layer.3.output.dense.bias")
    'encoder.layer.3.output.dense.bias'
    """
    return name[len(part_of(name)) :]
