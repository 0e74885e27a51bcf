"""Resident memory of a process that answers: at its peak and at its end, beside the file's size.

python bench/memory.py MODEL
python bench/memory.py MODEL --packed-cache --peer "llama-simple -m {model} -n 64 {prompt}"
"""

from __future__ import annotations

import argparse
from pathlib import Path

from processes import ours, peer, run, warm

TOKENS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak and steady resident memory.")
    parser.add_argument("model")
    parser.add_argument("--packed-cache", action="store_true", help="measure it beside the default")
    parser.add_argument("--peer", action="append", default=[], metavar="COMMAND")
    options = parser.parse_args()
    commands = {"pyllm": ours(options.model, TOKENS)}
    if options.packed_cache:
        commands["pyllm --packed-cache"] = ours(options.model, TOKENS, packed_cache=True)
    for template in options.peer:
        commands[template.split()[0].rsplit("/", 1)[-1]] = peer(template, options.model, TOKENS)
    warm(options.model)
    size = Path(options.model).stat().st_size
    print(f"file: {size / 1e6:.0f} MB")
    for name, command in commands.items():
        done = run(command)
        peak, steady = done.peak / size, done.steady / size
        print(f"{name:24} peak {done.peak / 1e6:7.0f} MB = {peak:.3f} x file, ", end="")
        print(f"steady {done.steady / 1e6:7.0f} MB = {steady:.3f} x file")


if __name__ == "__main__":
    main()
