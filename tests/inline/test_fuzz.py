"""Bytes that nobody meant: whatever comes, errors are those of the tree, and a conversation ends with one CLOSE."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_interoperability import SESSIONS, XML
from test_mrd import MESSAGES, to_bytes

from inline import mrd
from inline.errors import BoresideError, ConnectionLostError
from inline.header import Scan
from inline.mrd import messages as m
from inline.session import converse
from inline.settings import Settings

STREAMS = [b"".join(map(to_bytes, MESSAGES)), *SESSIONS.values()]
SPLICES = [b"", b"\0" * 4, b"\xff" * 4, b"\xff" * 8, b"\0\0\x80\x7f", b"\xf0\x03", b"\xfe\x03", b"\x04\0", b"\x03\0"]
WORDS = [
    "",
    "-1",
    "nan",
    "inf",
    "1e400",
    "9" * 5000,
    "\u0663",
    "1_0",
    "<![CDATA[",
    "&#0;",
    "&x;",
    "<a>",
    "</a>",
    " ",
    "\0",
]
BOUNDED = settings(max_examples=300, deadline=None, derandomize=True)


@st.composite
def broken(draw, whole, splices):
    """A sequence with some stretches of it replaced."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(whole)))
        stop = start + draw(st.integers(0, 8))
        whole = whole[:start] + draw(st.sampled_from(splices)) + whole[stop:]
    return whole


streams = st.one_of(st.sampled_from(STREAMS).flatmap(lambda whole: broken(whole, SPLICES)), st.binary(max_size=2000))


@BOUNDED
@given(streams)
def test_decoding_raises_what_the_tree_holds_and_nothing_else(stream):
    decoder = mrd.Decoder()
    try:
        for message in decoder.feed(stream):
            mrd.encode(message)
        decoder.flush()
    except BoresideError as error:
        assert "byte" in str(error)


@BOUNDED
@given(broken(XML.decode(), WORDS))
def test_a_header_is_read_or_refused_in_words(xml):
    try:
        assert Scan.from_xml(xml).encodings
    except BoresideError as error:
        assert "MRD header" in str(error)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@BOUNDED
@given(streams)
def test_a_conversation_ends_with_one_close_whatever_was_said(stream):
    def heard():
        decoder = mrd.Decoder()
        yield from decoder.feed(stream)
        decoder.flush()
        raise ConnectionLostError("the connection ended without CLOSE: the scan is not complete")

    said = []
    outcome = converse(heard(), said.append, Settings(), "1.mrd")
    assert [type(message) for message in said].count(m.Close) == 1
    assert isinstance(said[-1], m.Close)
    assert outcome.ended_well or any(isinstance(message, m.Text) for message in said)
