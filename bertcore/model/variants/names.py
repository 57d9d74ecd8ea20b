"""Names: those of the variants' numbers and tensors in published files (chapter 8)."""

from typing import Any

from bertcore.model.names import BERT

TABLE = BERT.table

ROBERTA = BERT._replace(
    model_type="roberta",
    body="roberta",
    names={
        **BERT.names,
        "mlm_head.dense": "lm_head.dense",
        "mlm_head.norm": "lm_head.layer_norm",
        "mlm_head": "lm_head",
        "head.dense": "classifier.dense",
        "head.text": "classifier.out_proj",
        "head.token": "classifier",
        "head.spans": "qa_outputs",
    },
    again={"lm_head.decoder.weight": TABLE, "lm_head.decoder.bias": "lm_head.bias"},
)

_GROUP = "encoder.albert_layer_groups.0.albert_layers.0"
ALBERT = BERT._replace(
    model_type="albert",
    body="albert",
    keys={**BERT.keys, "embedding_size": "embedding_size",
          "head_dropout": "classifier_dropout_prob"},
    allowed={**BERT.allowed, "num_hidden_groups": (1,), "inner_group_num": (1,)},
    names={
        "embeddings.tables.token": "embeddings.word_embeddings",
        "embeddings.tables.position": "embeddings.position_embeddings",
        "embeddings.tables.segment": "embeddings.token_type_embeddings",
        "embeddings.tables.norm": "embeddings.LayerNorm",
        "embeddings.widen": "encoder.embedding_hidden_mapping_in",
        "encoder.layers.{n}.attention.query": f"{_GROUP}.attention.query",
        "encoder.layers.{n}.attention.key": f"{_GROUP}.attention.key",
        "encoder.layers.{n}.attention.value": f"{_GROUP}.attention.value",
        "encoder.layers.{n}.attention.output": f"{_GROUP}.attention.dense",
        "encoder.layers.{n}.attention_norm": f"{_GROUP}.attention.LayerNorm",
        "encoder.layers.{n}.feedforward.widen": f"{_GROUP}.ffn",
        "encoder.layers.{n}.feedforward.narrow": f"{_GROUP}.ffn_output",
        "encoder.layers.{n}.feedforward_norm": f"{_GROUP}.full_layer_layer_norm",
        "pooler.dense": "pooler",
        "mlm_head.dense": "predictions.dense",
        "mlm_head.norm": "predictions.LayerNorm",
        "mlm_head": "predictions",
        "sop_head": "sop_classifier.classifier",
        "head.dense": "albert.pooler",
        "head.text": "classifier",
        "head.token": "classifier",
        "head.spans": "qa_outputs",
    },
    again={"predictions.decoder.weight": TABLE,
           "predictions.decoder.bias": "predictions.bias"},
)  # fmt: skip

DISTILBERT = BERT._replace(
    model_type="distilbert",
    body="distilbert",
    keys={
        "vocab_size": "vocab_size",
        "hidden_size": "dim",
        "layers": "n_layers",
        "heads": "n_heads",
        "feedforward_size": "hidden_dim",
        "max_positions": "max_position_embeddings",
        "dropout": "dropout",
        "attention_dropout": "attention_dropout",
        "initializer_range": "initializer_range",
        "text_dropout": "seq_classif_dropout",
        "span_dropout": "qa_dropout",
    },
    # With sinusoids the positions are a table, too, which files hold.
    allowed={},
    activation="activation",
    names={
        "embeddings.token": "embeddings.word_embeddings",
        "embeddings.position": "embeddings.position_embeddings",
        "embeddings.norm": "embeddings.LayerNorm",
        "encoder.layers.{n}.attention.query": "transformer.layer.{n}.attention.q_lin",
        "encoder.layers.{n}.attention.key": "transformer.layer.{n}.attention.k_lin",
        "encoder.layers.{n}.attention.value": "transformer.layer.{n}.attention.v_lin",
        "encoder.layers.{n}.attention.output": (
            "transformer.layer.{n}.attention.out_lin"
        ),
        "encoder.layers.{n}.attention_norm": "transformer.layer.{n}.sa_layer_norm",
        "encoder.layers.{n}.feedforward.widen": "transformer.layer.{n}.ffn.lin1",
        "encoder.layers.{n}.feedforward.narrow": "transformer.layer.{n}.ffn.lin2",
        "encoder.layers.{n}.feedforward_norm": (
            "transformer.layer.{n}.output_layer_norm"
        ),
        "mlm_head.dense": "vocab_transform",
        "mlm_head.norm": "vocab_layer_norm",
        "mlm_head": "vocab_projector",
        "head.dense": "pre_classifier",
        "head.text": "classifier",
        "head.token": "classifier",
        "head.spans": "qa_outputs",
    },
    again={"vocab_projector.weight": TABLE},
    needed=("embeddings.", "transformer."),
)

_LAYERS = {ours: theirs for ours, theirs in BERT.names.items() if "encoder." in ours}
ELECTRA = BERT._replace(
    model_type="electra",
    body="electra",
    keys={**BERT.keys, "embedding_size": "embedding_size"},
    names={
        **{ours: ALBERT.names[ours] for ours in ALBERT.names if "tables" in ours},
        **_LAYERS,
        "embeddings.widen": "embeddings_project",
        "mlm_head.dense": "generator_predictions.dense",
        "mlm_head.norm": "generator_predictions.LayerNorm",
        "mlm_head": "generator_lm_head",
        "head.replaced_dense": "discriminator_predictions.dense",
        "head.replaced": "discriminator_predictions.dense_prediction",
        "head.dense": "classifier.dense",
        "head.text": "classifier.out_proj",
        "head.token": "classifier",
        "head.spans": "qa_outputs",
    },
    again={"generator_lm_head.weight": TABLE},
    needed=("embeddings.", "embeddings_project.", "encoder."),
)

DEBERTA = BERT._replace(
    model_type="deberta-v2",
    body="deberta",
    keys={
        **{ours: key for ours, key in BERT.keys.items() if ours != "segments"},
        "position_buckets": "position_buckets",
        "kernel_size": "conv_kernel_size",
        "kernel_activation": "conv_act",
        "text_dropout": "pooler_dropout",
    },
    allowed={
        "relative_attention": (True,),
        "position_biased_input": (False,),
        "share_att_key": (True,),
        "norm_rel_ebd": ("layer_norm",),
        "type_vocab_size": (0,),
        "conv_groups": (1,),
        "max_relative_positions": (-1,),
    },
    names={
        "embeddings.token": "embeddings.word_embeddings",
        "embeddings.norm": "embeddings.LayerNorm",
        "encoder.distances": "encoder.rel_embeddings",
        "encoder.distance_norm": "encoder.LayerNorm",
        "encoder.local.conv": "encoder.conv.conv",
        "encoder.local.norm": "encoder.conv.LayerNorm",
        **{
            ours: theirs.replace("self.query", "self.query_proj")
            .replace("self.key", "self.key_proj")
            .replace("self.value", "self.value_proj")
            for ours, theirs in _LAYERS.items()
        },
        **{ours: BERT.names[ours] for ours in BERT.names if "mlm_head" in ours},
        "head.dense": "pooler.dense",
        "head.text": "classifier",
        "head.token": "classifier",
        "head.spans": "qa_outputs",
    },
    again=BERT.again,
)

MODERNBERT = BERT._replace(
    model_type="modernbert",
    body="model",
    keys={
        "vocab_size": "vocab_size",
        "hidden_size": "hidden_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "feedforward_size": "intermediate_size",
        "max_positions": "max_position_embeddings",
        "dropout": "embedding_dropout",
        "attention_dropout": "attention_dropout",
        "layer_norm_eps": "norm_eps",
        "initializer_range": "initializer_range",
        "window": "local_attention",
        "inner_dropout": "mlp_dropout",
        "head_dropout": "classifier_dropout",
    },
    allowed={
        "norm_bias": (False,),
        "attention_bias": (False,),
        "mlp_bias": (False,),
        "classifier_bias": (False,),
        "decoder_bias": (True,),
        "classifier_pooling": ("cls",),
        "classifier_activation": ("gelu",),
    },
    activation="hidden_activation",
    names={
        "embeddings.token": "embeddings.tok_embeddings",
        "embeddings.norm": "embeddings.norm",
        "encoder.layers.{n}.attention_norm": "layers.{n}.attn_norm",
        "encoder.layers.{n}.attention.qkv": "layers.{n}.attn.Wqkv",
        "encoder.layers.{n}.attention.output": "layers.{n}.attn.Wo",
        "encoder.layers.{n}.feedforward_norm": "layers.{n}.mlp_norm",
        "encoder.layers.{n}.feedforward.widen": "layers.{n}.mlp.Wi",
        "encoder.layers.{n}.feedforward.narrow": "layers.{n}.mlp.Wo",
        "encoder.norm": "final_norm",
        "mlm_head.dense": "head.dense",
        "mlm_head.norm": "head.norm",
        "mlm_head": "decoder",
        "head.dense": "head.dense",
        "head.norm": "head.norm",
        "head.output": "classifier",
    },
    again={"decoder.weight": "embeddings.tok_embeddings.weight"},
    table="embeddings.tok_embeddings.weight",
    needed=("embeddings.", "layers.", "final_norm."),
)


def modern_layers(published: dict[str, Any]) -> dict[str, Any]:
    """What a config.json of ModernBERT says of its kinds of layers, in our fields.

    The first release says how many layers apart the global ones are, transformers 5
    names the kind of each layer.

    Raises:
        ValueError: if the kinds follow no such rule.
    """
    found: dict[str, Any] = {}
    if (kinds := published.get("layer_types")) is not None:
        whole = [n for n, kind in enumerate(kinds) if kind == "full_attention"]
        every = whole[1] if len(whole) > 1 else len(kinds)
        if whole != list(range(0, len(kinds), every)):
            raise ValueError(
                f"config.json says layer_types={kinds}; bertcore's ModernBERT needs "
                "full_attention in the first layer and in every n-th after it"
            )
        found["global_every"] = every
    for ours, theirs in (
        ("global_every", "global_attn_every_n_layers"),
        ("global_base", "global_rope_theta"),
        ("local_base", "local_rope_theta"),
    ):
        if theirs in published:
            found[ours] = published[theirs]
    angles = published.get("rope_parameters") or {}
    for ours, kind in (
        ("global_base", "full_attention"),
        ("local_base", "sliding_attention"),
    ):
        if "rope_theta" in (angles.get(kind) or {}):
            found[ours] = angles[kind]["rope_theta"]
    return found
