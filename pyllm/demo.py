"""Where the small model that comes with pyllm lies; its recipe is models/demo."""

from __future__ import annotations

from pathlib import Path

from pyllm.errors import ModelFileError

_NAME = "pyllm-demo-Q8_0.gguf"


def demo_model() -> Path:
    """The embedded model's GGUF file: inside the installed package, or in a checkout.

    Raises ModelFileError when neither has it.
    """
    package = Path(__file__).parent
    for folder in (package / "models", package.parent / "models"):
        if (folder / _NAME).is_file():
            return folder / _NAME
    path = package / "models" / _NAME
    raise ModelFileError(
        path, None, "file", None, "the embedded model", "name a MODEL, or reinstall"
    )
