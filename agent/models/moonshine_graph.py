"""Repair of Moonshine's exported graphs: done once at set-up, read by `agent.asr.moonshine`.

The packages carry ONNX Runtime flatbuffers whose decoder holds two graphs in one `If` and, for the
base model, unpacks its eight-bit weights again at every token: recognition is twenty times slower
than the arithmetic needs. The repair splits the branches, folds what is constant, quantises the
matrix products, takes out the padding mask (one utterance at a time has no padding) and gives the
cross-attention to the outside, from which word times are read.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from agent.errors import MissingModelError

ENCODER_SOURCE = "encoder_model.ort"
DECODER_SOURCE = "decoder_model_merged.ort"

ENCODER = "encoder.onnx"
"""Input `input_values` (1, samples) float32; output `last_hidden_state` (1, frames, width)."""

DECODER_FIRST = "decoder_first.onnx"
"""Any number of tokens, no cache: `input_ids` (1, n), `encoder_hidden_states`; gives `logits`,
`cross_attention` and every `present.{layer}.{decoder,encoder}.{key,value}`."""

DECODER_NEXT = "decoder_next.onnx"
"""One token over the cache: `input_ids` (1, 1), `past_key_values.*`; gives `logits`,
`cross_attention` and `present.{layer}.decoder.{key,value}` (the encoder's part never changes)."""

HEADS = 8
"""Attention heads a layer, of tiny and base alike."""

ALIGNMENT_HEADS = {
    6: ((2, 0), (3, 5), (4, 3), (4, 6)),  # tiny
    8: ((4, 2), (5, 1), (5, 5), (5, 6)),  # base
}
"""By number of decoder layers, the (layer, head) pairs that look where the word is spoken.

Found on strings of single words whose borders are known: the mean of these four places half of the
words within 30 ms, the mean of all heads of base within 65 ms.
"""

CROSS_ATTENTION = "cross_attention"
"""Output shape (1, 1, tokens, frames) float32: where in the audio each next token was looked for,
the mean over `ALIGNMENT_HEADS`. Each row sums to one."""


def repair(source_dir: Path, target_dir: Path) -> None:
    """Write fast graphs made from the packaged ones. The same source gives the same bytes.

    Args:
        source_dir: Holds `ENCODER_SOURCE` and `DECODER_SOURCE` of one model.
        target_dir: Receives `ENCODER`, `DECODER_FIRST` and `DECODER_NEXT`; made if absent. A file
            appears there only when it is complete.

    Raises:
        MissingModelError: A source is absent, or is not the export this repair knows.
    """
    target_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target_dir, prefix=".repair-") as work:
        work_dir = Path(work)
        encoder = _read(source_dir / ENCODER_SOURCE, work_dir)
        _drop_mask(encoder.graph, "attention_mask")
        _write(encoder, ["last_hidden_state"], target_dir / ENCODER, work_dir)

        merged = _read(source_dir / DECODER_SOURCE, work_dir)
        for branch, name in (("else_branch", DECODER_FIRST), ("then_branch", DECODER_NEXT)):
            decoder = _branch(merged, branch)
            _drop_mask(decoder.graph, "encoder_attention_mask")
            _expose_cross_attention(decoder.graph)
            kept = [
                output.name
                for output in decoder.graph.output
                # With a cache these only hand the input through.
                if name == DECODER_FIRST or ".encoder." not in output.name
            ]
            _write(decoder, kept, target_dir / name, work_dir)


def _read(source: Path, work_dir: Path) -> ModelProto:
    """Turn the flatbuffer into plain ONNX, by loading it: there is no other way."""
    if not source.is_file():
        raise MissingModelError(f"{source} is absent; `duplex models` fetches it again")
    plain = work_dir / "plain.onnx"
    options = _session_options(ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
    options.optimized_model_filepath = str(plain)
    options.add_session_config_entry("session.save_model_format", "ONNX")
    ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    model = onnx.load(str(plain))
    known = [opset for opset in model.opset_import if opset.domain in ("", "com.microsoft")]
    del model.opset_import[:]
    model.opset_import.extend(known)
    return model


def _branch(merged: ModelProto, branch: str) -> ModelProto:
    """One branch of the decoder's `If` as a model of its own."""
    graph = merged.graph
    conditions = [node for node in graph.node if node.op_type == "If"]
    if len(conditions) != 1:
        raise MissingModelError(f"the decoder has {len(conditions)} branches where one is expected")
    condition = conditions[0]
    body = next(attribute.g for attribute in condition.attribute if attribute.name == branch)
    public = {inner.name: outer for inner, outer in zip(body.output, condition.output, strict=True)}

    nodes = [node for node in graph.node if node.op_type != "If"]
    for node in body.node:
        renamed = NodeProto()
        renamed.CopyFrom(node)
        renamed.input[:] = [public.get(name, name) for name in node.input]
        renamed.output[:] = [public.get(name, name) for name in node.output]
        nodes.append(renamed)
    made = {name for node in nodes for name in node.output}
    split = helper.make_graph(
        nodes,
        branch,
        graph.input,
        [output for output in graph.output if output.name in made],
        [*graph.initializer, *body.initializer],
    )
    return helper.make_model(split, opset_imports=merged.opset_import, ir_version=merged.ir_version)


def _drop_mask(graph: GraphProto, mask: str) -> None:
    """Take the padding mask out of every attention; a graph without one is left as it is."""
    if mask not in {value.name for value in graph.input}:
        return
    made_by = {name: node for node in graph.node for name in node.output}
    masked: set[str] = {mask}
    for node in graph.node:
        if node.op_type == "Softmax":
            total = made_by.get(node.input[0])
            terms = list(total.input) if total is not None and total.op_type == "Add" else []
            scores = [term for term in terms if term not in masked]
            if len(terms) == 2 and len(scores) == 1:
                node.input[0] = scores[0]
        # A softmax just relieved of its mask no longer passes the taint on, so the next layer's
        # scores are told from its mask.
        if any(name in masked for name in node.input):
            masked.update(node.output)


def _expose_cross_attention(graph: GraphProto) -> None:
    """Add the output `CROSS_ATTENTION`."""
    layers = [
        node.output[0]
        for node in graph.node
        if node.op_type == "Softmax" and "/encoder_attn/" in node.name
    ]
    if len(layers) not in ALIGNMENT_HEADS:
        raise MissingModelError(f"a decoder with {len(layers)} cross-attentions is neither model")
    aligned = ALIGNMENT_HEADS[len(layers)]
    weights = np.zeros((1, len(layers) * HEADS, 1, 1), np.float32)
    for layer, head in aligned:
        weights[0, layer * HEADS + head] = 1.0 / len(aligned)
    graph.initializer.append(numpy_helper.from_array(weights, "cross_attention_weights"))
    graph.node.append(helper.make_node("Concat", layers, ["cross_attention_heads"], axis=1))
    # A 1x1 convolution is a weighted mean over heads that every operator set spells alike.
    graph.node.append(
        helper.make_node(
            "Conv", ["cross_attention_heads", "cross_attention_weights"], [CROSS_ATTENTION]
        )
    )
    graph.output.append(helper.make_tensor_value_info(CROSS_ATTENTION, TensorProto.FLOAT, None))


def _write(model: ModelProto, outputs: list[str], target: Path, work_dir: Path) -> None:
    """Prune to what `outputs` need, fold constants, quantise the matrix products, save."""
    _prune(model.graph, outputs)
    pruned, folded, done = (work_dir / name for name in ("pruned.onnx", "folded.onnx", "done.onnx"))
    onnx.save(model, pruned)
    options = _session_options(ort.GraphOptimizationLevel.ORT_ENABLE_BASIC)
    options.optimized_model_filepath = str(folded)
    ort.InferenceSession(str(pruned), options, providers=["CPUExecutionProvider"])
    if any(node.op_type == "DynamicQuantizeMatMul" for node in model.graph.node):
        # The tiny model comes with eight-bit products.
        folded.replace(target)
        return
    _mark_prepared(folded)
    quantize_dynamic(
        folded,
        done,
        weight_type=QuantType.QInt8,
        per_channel=True,
        # Seven bits: without VNNI the eight-bit kernels add pairs of products in 16 bits, which
        # saturate. The words survive that, two fifths of the full stops do not.
        reduce_range=True,
        op_types_to_quantize=["MatMul", "Gemm"],
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    done.replace(target)


def _mark_prepared(path: Path) -> None:
    """Tell the quantiser that the graph is folded, or it warns the user that it might not be."""
    model = onnx.load(path)
    helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
    onnx.save(model, path)


def _prune(graph: GraphProto, outputs: list[str]) -> None:
    """Keep what the outputs depend on; batch size becomes one, so that shapes fold."""
    needed = set(outputs)
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    kept.reverse()
    values = {value.name: value for value in [*graph.input, *graph.output]}
    inputs = [value for value in graph.input if value.name in needed]
    for value in inputs:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    pruned = helper.make_graph(
        kept, graph.name or "encoder", inputs, [values[name] for name in outputs], weights
    )
    graph.CopyFrom(pruned)


def _session_options(level: ort.GraphOptimizationLevel) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3  # errors only: it warns that saved graphs are not portable
    return options
