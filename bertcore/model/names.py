"""Names: one table between our parameters and published files (chapter 0)."""

import re

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

# The two parts of an encoder-decoder, before the names of a whole BERT each.
_PART = re.compile(
    r"(?:encoder|decoder)\.(?=(?:bert|embeddings|encoder|pooler|mlm_head|cls)\.)"
)


def published_name(ours: str) -> str:
    """The name that a parameter of ours has in a published file.

    >>> published_name("bert.encoder.layers.3.attention.query.bias")
    'bert.encoder.layer.3.attention.self.query.bias'
    """
    body = bare(ours).removeprefix("bert.")
    prefix = ours[: len(ours) - len(body)]
    module, _, kind = body.rpartition(".")
    number = re.search(r"\.(\d+)\.", module)
    template = re.sub(r"\.\d+\.", ".{n}.", module)
    if template not in NAMES:
        raise ValueError(
            f"{ours} has no name in published files, so it can be neither read nor "
            "saved; save such parts with torch.save"
        )
    theirs = NAMES[template].format(n=number and number[1])
    return f"{prefix}{theirs}.{kind}"


def canonical(published: str) -> str:
    """One spelling of a published name; of an encoder-decoder its part stays before it.

    Without the prefixes `module.` and `bert.`, with the norm's names of today instead
    of those of the first release, and the output bias where it belongs.

    >>> canonical("module.bert.embeddings.LayerNorm.gamma")
    'embeddings.LayerNorm.weight'
    """
    whole = published.removeprefix("module.")
    name = bare(whole)
    part = whole[: len(whole) - len(name)]
    name = name.removeprefix("bert.")
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
    name = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)
    return part + name.replace("cls.predictions.decoder.bias", "cls.predictions.bias")


def bare(name: str) -> str:
    """A name without the part of an encoder-decoder before it.

    >>> bare("encoder.encoder.layer.3.output.dense.bias")
    'encoder.layer.3.output.dense.bias'
    """
    found = _PART.match(name)
    return name[found.end() :] if found else name
