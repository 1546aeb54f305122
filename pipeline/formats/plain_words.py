"""Reduces text to plain words, so that texts can be compared without regard to case, width, spaces and punctuation."""

import re
import unicodedata

_ASCII_WORDS = "".join(chr(code) if chr(code).isalnum() else " " for code in range(128))
# Each sign of a script without spaces between words is a word of its own: Kana, Han, Hangul.
_SIGNS = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af])")
_NOT_WORDS = re.compile(r"[\W_]+")
_PUNCTUATION = re.compile(r"[^\w+<=>|~$^`]+|_+")


def plain_words(text: str) -> str:
    """Return the words of a text in NFKC and in lower case, with one space before and after each word.

    >>> plain_words("I’m GPT-4!"), plain_words("我是通义")
    (' i m gpt 4 ', ' 我 是 通 义 ')
    """
    if text.isascii():
        return f" {' '.join(text.lower().translate(_ASCII_WORDS).split())} "
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
