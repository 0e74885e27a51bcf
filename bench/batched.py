"""Decoding many sequences at a time: tokens per second of all together, pyllm and its peers.

    python bench/batched.py MODEL.gguf --peer llama.cpp=~/llama.cpp/bin/llama-batched-bench \
        --peer ik=~/ik/bin/llama-batched-bench --sequences 4 8 16 32

Each sequence has a prompt of 128 random tokens and 64 more are generated; only generating is timed.
First every setting of a peer runs shortly (a shared prompt, 8 tokens); its best one then alternates
with pyllm. Writes markdown; --json appends lines. bench/engine.py is the same through `LLM`.
"""

from __future__ import annotations

from batched_runs import GENERATE, PROMPT, Run, measure, parser
from contenders import pyllm


def main() -> None:
    args = parser(__doc__).parse_args()
    most = max(args.sequences)
    # Sequences that begin early decode while the last ones prefill: 512 prompt tokens a step.
    context = PROMPT + GENERATE + 32 + most * PROMPT // 256
    limits = {"sequences": most, "context": context}
    engine = pyllm(args.model, args.threads, limits, args.isa)
    measure([Run(args, sequences, "batch", {}) for sequences in args.sequences], engine)


if __name__ == "__main__":
    main()
