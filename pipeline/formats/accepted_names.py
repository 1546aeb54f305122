"""Checks whether the decoder of events accepts texts as names.

Short texts of visible ASCII characters are always accepted. Only other texts are given to the decoder.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.events import decode_votes
from pipeline.events.vote import MAX_NAME, SCHEMA, encode_event
from pipeline.formats.column_pieces import Undecided
from pipeline.formats.text_codes import TextSequence


def are_accepted(names: Sequence[str]) -> bool:
    """Return whether the decoder of events accepts all of these names, for example as models of a battle."""
    plain = names.are_plain(MAX_NAME) if isinstance(names, TextSequence) else are_plain(names)
    return plain or _decoded(names)


def are_plain(names: Sequence[str]) -> bool:
    """Return whether all names consist of visible ASCII characters, and have at most MAX_NAME characters each.

    The decoder of events accepts such names.
    """
    text = "".join(names)
    return text.isascii() and text.isprintable() and max(map(len, names), default=0) <= MAX_NAME


def is_accepted_column(array: pa.Array) -> bool:
    """Return whether the decoder of events accepts every text of a column. Nulls and empty texts are not checked.

    Raises:
        Undecided: the column has lists, maps or bytes, which must be read record by record.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.dictionary, kind.value_type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise Undecided
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return True  # numbers, truth values and times are short
    texts = array.drop_null().cast(pa.string())
    plain = pc.and_(pc.ascii_is_printable(texts), pc.less_equal(pc.binary_length(texts), MAX_NAME))
    others = [name for name in pc.unique(texts.filter(pc.invert(plain))).to_pylist() if name]
    return not others or _decoded(others)


def _decoded(names: Sequence[str]) -> bool:
    fields = {"schema": SCHEMA, "vote_id": "x", "cast_at": "2024-01-01T00:00:00Z", "winner": "tie"}
    votes = [encode_event({**fields, "model_a": name, "model_b": f"{name[:9]} other"}) for name in names]
    return not decode_votes(votes)[2]
