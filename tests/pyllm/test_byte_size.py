"""Sizes for people."""

import pytest

from pyllm.byte_size import byte_size


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (3 << 19, "1.5 MiB"),
        (16 << 30, "16.0 GiB"),
        (5000 << 40, "5000.0 TiB"),
    ],
)
def test_the_unit_fits(num_bytes, text):
    assert byte_size(num_bytes) == text
