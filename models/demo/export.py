"""Writes the trained network as a GGUF file in any type that pyllm can encode.

    python -m models.demo.export checkpoint.pt models/pyllm-demo-Q8_0.gguf --type Q8_0

F32, F16, BF16 and every plain type apply to all matrices; Q4_K_M is Q4_K with Q6_K for the
embedding and for half of attn_v and ffn_down, as llama.cpp mixes it. Norms stay F32.
A GGUF file may stand for the checkpoint: what it rounded stays rounded.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from pyllm import kernels

from .tokens import BOS, Tokens

HERE = Path(__file__).parent
Floats = npt.NDArray[np.float32]
_FILE_TYPES = {
    "F32": gguf.LlamaFileType.ALL_F32,
    "F16": gguf.LlamaFileType.MOSTLY_F16,
    "BF16": gguf.LlamaFileType.MOSTLY_BF16,
    "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "Q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
    "Q4_K": gguf.LlamaFileType.MOSTLY_Q4_K_S,
    "Q5_K": gguf.LlamaFileType.MOSTLY_Q5_K_S,
    "Q6_K": gguf.LlamaFileType.MOSTLY_Q6_K,
    "Q4_K_M": gguf.LlamaFileType.MOSTLY_Q4_K_M,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "source", type=Path, help="a checkpoint of train.py, or an exported GGUF file"
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("--type", choices=_FILE_TYPES, default="Q8_0")
    parser.add_argument("--tokenizer", type=Path, default=HERE / "tokenizer.model")
    options = parser.parse_args()
    if options.source.suffix == ".gguf":
        shape, weights = _from_gguf(options.source)
    else:
        shape, weights = _from_checkpoint(options.source)
    write(options.target, shape, weights, Tokens(options.tokenizer), options.type)


def write(
    target: Path, shape: dict[str, Any], weights: dict[str, Floats], tokens: Tokens, kind: str
) -> None:
    """`shape` has the fields of network.Shape; `weights` have GGUF's names."""
    writer = gguf.GGUFWriter(target, "llama")
    _add_general(writer, kind)
    _add_shape(writer, shape)
    _add_tokenizer(writer, tokens)
    for name, values in weights.items():
        _add_tensor(writer, name, values, _type_of(name, values, kind, int(shape["n_layers"])))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _from_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Floats]]:
    import torch

    stored = torch.load(path, map_location="cpu", weights_only=True)
    return stored["shape"], {k: v.float().numpy() for k, v in stored["weights"].items()}


def _from_gguf(path: Path) -> tuple[dict[str, Any], dict[str, Floats]]:
    """What an exported file holds; a quantized one gives its rounded values."""
    reader = gguf.GGUFReader(path)

    def field(name: str) -> Any:
        return reader.fields[name].contents()

    shape = {
        "n_vocab": field("llama.vocab_size"),
        "n_embd": field("llama.embedding_length"),
        "n_layers": field("llama.block_count"),
        "n_heads": field("llama.attention.head_count"),
        "n_kv_heads": field("llama.attention.head_count_kv"),
        "n_ff": field("llama.feed_forward_length"),
        "context": field("llama.context_length"),
        "rope_base": field("llama.rope.freq_base"),
        "eps": field("llama.attention.layer_norm_rms_epsilon"),
    }
    return shape, {t.name: gguf.dequantize(t.data, t.tensor_type) for t in reader.tensors}


def _add_general(writer: gguf.GGUFWriter, kind: str) -> None:
    writer.add_name("pyllm-demo")
    writer.add_description("A very small chat model, trained from scratch on generated text")
    writer.add_author("the pyllm project")
    writer.add_license("apache-2.0")
    writer.add_languages(["en"])
    writer.add_size_label("10M")
    writer.add_version("1")
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_file_type(_FILE_TYPES[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _add_shape(writer: gguf.GGUFWriter, shape: dict[str, Any]) -> None:
    writer.add_vocab_size(shape["n_vocab"])
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(shape["n_embd"])
    writer.add_block_count(shape["n_layers"])
    writer.add_feed_forward_length(shape["n_ff"])
    writer.add_head_count(shape["n_heads"])
    writer.add_head_count_kv(shape["n_kv_heads"])
    writer.add_rope_dimension_count(shape["n_embd"] // shape["n_heads"])
    writer.add_rope_freq_base(shape["rope_base"])
    writer.add_layer_norm_rms_eps(shape["eps"])


def _add_tokenizer(writer: gguf.GGUFWriter, tokens: Tokens) -> None:
    model = tokens.model
    ids = range(model.vocab_size())
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([model.id_to_piece(i) for i in ids])
    writer.add_token_scores([model.get_score(i) for i in ids])
    writer.add_token_types([_token_type(tokens, i) for i in ids])
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(tokens.end)
    writer.add_eot_token_id(tokens.end)
    writer.add_unk_token_id(model.unk_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template((HERE / "chat_template.jinja").read_text("utf-8"))


def _token_type(tokens: Tokens, token: int) -> gguf.TokenType:
    model = tokens.model
    if model.is_unknown(token):
        return gguf.TokenType.UNKNOWN
    if model.is_control(token):
        return gguf.TokenType.CONTROL
    if model.is_byte(token):
        return gguf.TokenType.BYTE
    if tokens.is_tag(token):
        return gguf.TokenType.USER_DEFINED
    return gguf.TokenType.NORMAL


def _type_of(name: str, values: Floats, kind: str, n_layers: int) -> str:
    if values.ndim == 1:
        return "F32"
    if kind != "Q4_K_M":
        return kind
    if name == "token_embd.weight":  # also the output matrix
        return "Q6_K"
    if "attn_v" in name or "ffn_down" in name:
        layer = int(name.split(".")[1])
        ends = layer < n_layers // 8 or layer >= 7 * n_layers // 8
        return "Q6_K" if ends or (layer - n_layers // 8) % 3 == 2 else "Q4_K"
    return "Q4_K"


def _add_tensor(writer: gguf.GGUFWriter, name: str, values: Floats, kind: str) -> None:
    if kind == "F32":
        writer.add_tensor(name, values)
        return
    raw = kernels.quantize(values, kind)
    writer.add_tensor(name, raw, raw_dtype=gguf.GGMLQuantizationType[kind])


if __name__ == "__main__":
    main()
