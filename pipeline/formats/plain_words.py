"""Reduces text to plain words, so that texts can be compared whatever their case, width, spaces and punctuation."""

import re
import unicodedata

_NOT_WORDS_ASCII = re.compile(r"[^0-9a-z]+")
# Each sign of a script without spaces between words is a word of its own: Kana, Han, Hangul.
_SIGNS = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af])")
_NOT_WORDS = re.compile(r"[\W_]+")
_PUNCTUATION = re.compile(r"[^\w+<=>|~$^`]+|_+")


def plain_words(text: str) -> str:
    """Return the words of a text, in compatibility form (NFKC) and without case, with one space around each.

    >>> plain_words("I’m GPT-4!"), plain_words("我是通义")
    (' i m gpt 4 ', ' 我 是 通 义 ')
    """
    if text.isascii():
        return f" {_NOT_WORDS_ASCII.sub(' ', text.lower()).strip()} "
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    apart = _SIGNS.sub(r" \1 ", folded)
    return f" {_NOT_WORDS.sub(' ', apart).strip()} "


def plain_prompt(text: str) -> str:
    """Return a prompt without case, punctuation and repeated spaces; signs of arithmetic stay.

    >>> plain_prompt("  What is  2+2 ?")
    'what is 2+2'
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _PUNCTUATION.sub(" ", folded).strip()
