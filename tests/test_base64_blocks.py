"""Base64 block by block: what any blocks of a text stand for, and what is refused."""

import binascii
from contextlib import suppress
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from xds import base64_blocks
from xds.base64_blocks import BadBase64

SOME = st.text("ABab+/==\n -", max_size=24) | st.binary(max_size=18).map(
    lambda data: binascii.b2a_base64(data, newline=False).decode()
)


@given(SOME, st.lists(st.integers(0, 24), max_size=4), st.lists(st.integers(0, 24), max_size=3))
@settings(max_examples=150, database=None)
def test_blocks_decode_as_the_whole_does(text: str, cuts: list[int], spaces: list[int]) -> None:
    for place in spaces:
        text = f"{text[:place]}\r\n{text[place:]}"
    places = sorted({0, len(text), *(one for one in cuts if one < len(text))})
    blocks = [text[start:end].encode() for start, end in pairwise(places)]
    bare = text.translate(dict.fromkeys(map(ord, " \t\r\n")))
    expected: bytes | None = None
    with suppress(binascii.Error):
        expected = binascii.a2b_base64(bare, strict_mode=True) if len(bare) % 4 == 0 else None
    try:
        decoded: bytes | None = b"".join(base64_blocks.decode(blocks))
    except BadBase64:
        decoded = None
    assert decoded == expected
