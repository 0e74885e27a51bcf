"""Property: any bytes open or give a ModelFileError of one printable line."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyllm.config import read_config
from pyllm.errors import ModelFileError
from pyllm.gguf import GGUFFile, StringArray
from tests.corpus.builder import Entry, Gguf, Tensor, key
from tests.corpus.tiny_model import tiny_model

VALID = tiny_model(n_layers=1).bytes()
HEADER = len(tiny_model(n_layers=1).header())

use_all = settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow])


def use(content: bytes) -> None:
    """Opens the bytes as a file and reads everything a loader would read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        path.write_bytes(content)
        text = refusal(path, len(content))
        assert text is None or (text.isprintable() and text.startswith(str(path)))


def refusal(path: Path, size: int) -> str | None:
    """The text of the ModelFileError, None when everything could be read."""
    try:
        with GGUFFile.open(path) as file:
            for name in file.metadata:
                value = file.metadata[name]
                assert (file.metadata.length(name) or 0) <= size
                if isinstance(value, StringArray):
                    assert len(value.tolist()) == len(value)
            for name, info in file.tensors.items():
                if info.nbytes:
                    assert len(bytes(file.data(name))) == info.nbytes
            read_config(file)
    except ModelFileError as error:
        return str(error)
    return None


@use_all
@given(st.binary(max_size=200))
def test_noise(noise: bytes) -> None:
    use(noise)


@use_all
@given(st.binary(max_size=200), st.integers(0, 3), st.integers(0, 3))
def test_noise_behind_a_good_header(noise: bytes, num_tensors: int, num_keys: int) -> None:
    use(Gguf(num_tensors=num_tensors, num_keys=num_keys).bytes() + noise)


@use_all
@given(st.integers(0, HEADER - 1), st.binary(max_size=64), st.integers(0, 64))
def test_valid_file_with_a_piece_replaced(at: int, piece: bytes, removed: int) -> None:
    use(VALID[:at] + piece + VALID[at + removed :])


@use_all
@given(st.integers(0, len(VALID)))
def test_valid_file_cut(size: int) -> None:
    use(VALID[:size])


U64 = st.integers(0, (1 << 64) - 1) | st.sampled_from([1 << bit for bit in range(64)])


@use_all
@given(
    st.lists(U64, max_size=5),
    st.integers(0, (1 << 32) - 1) | st.integers(0, 45),
    U64,
    st.binary(max_size=70),
)
def test_any_tensor_entry(dims: list[int], type_id: int, offset: int, name: bytes) -> None:
    file = Gguf([key("general.architecture", "llama")])
    file.tensors = [Tensor(name, dims, type_id, offset=offset)]
    use(file.bytes() + bytes(64))


@use_all
@given(st.binary(max_size=20), st.integers(0, 20), st.binary(max_size=60))
def test_any_metadata_entry(name: bytes, type_id: int, payload: bytes) -> None:
    use(Gguf([Entry(name, type_id, payload)]).bytes())
