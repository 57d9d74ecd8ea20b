"""Names: one table between our parameters and published files (chapter 0)."""

from bertcore.model.published import Published, part_of

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

BERT = Published(
    model_type="bert",
    keys=KEYS,
    names=NAMES,
    body="bert",
    again={
        "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    allowed={"position_embedding_type": ("absolute",)},
)


def published_name(ours: str) -> str:
    """The name that a parameter of a BERT of ours has in a published file.

    >>> published_name("bert.encoder.layers.3.attention.query.bias")
    'bert.encoder.layer.3.attention.self.query.bias'
    """
    return BERT.published_name(ours)


def canonical(published: str) -> str:
    """One spelling of a BERT's published name; see `Published.canonical`.

    >>> canonical("module.bert.embeddings.LayerNorm.gamma")
    'embeddings.LayerNorm.weight'
    """
    return BERT.canonical(published)


def bare(name: str) -> str:
    """A name without the part of an encoder-decoder before it.

    >>> bare("encoder.encoder.layer.3.output.dense.bias")
    'encoder.layer.3.output.dense.bias'
    """
    return name[len(part_of(name)) :]
