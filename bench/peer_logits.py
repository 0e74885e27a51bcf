"""Logits of llama.cpp for one file and one prompt, in an interpreter that has llama-cpp-python.

python peer_logits.py MODEL OUT.npy REPACK(0|1) FLASH_ATTENTION(0|1) TOKEN,TOKEN,...
"""

from __future__ import annotations

import sys

import llama_cpp as lib
import numpy as np


def main() -> None:
    model_path, out, repack, flash_attention, listed = sys.argv[1:6]
    tokens = [int(t) for t in listed.split(",")]
    lib.llama_backend_init()
    model_params = lib.llama_model_default_params()
    model_params.use_extra_bufts = repack == "1"
    model = lib.llama_model_load_from_file(model_path.encode(), model_params)
    params = lib.llama_context_default_params()
    params.n_ctx = 512
    params.n_threads = params.n_threads_batch = 2
    params.flash_attn_type = int(flash_attention)
    context = lib.llama_init_from_model(model, params)

    batch = lib.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i] = token, i
        batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = 1, 0, 1
    if lib.llama_decode(context, batch):
        raise RuntimeError("llama_decode failed")
    n_vocab = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    rows = [
        np.ctypeslib.as_array(lib.llama_get_logits_ith(context, i), (n_vocab,)).copy()
        for i in range(len(tokens))
    ]
    np.save(out, np.array(rows))


if __name__ == "__main__":
    main()
