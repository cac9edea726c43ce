"""How hard a secret is to guess, estimated from its text alone."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from itertools import pairwise

SEQUENCES = (string.digits * 2, string.ascii_lowercase, "qwertyuiop", "asdfghjkl", "zxcvbnm")
WORDS = (
    "password", "passwort", "secret", "change", "changeme", "random", "string", "chars", "default", "admin",
    "administrator", "workflow", "postgres", "kafka", "grafana", "prometheus", "example", "sample", "placeholder",
    "production", "development", "staging", "testing", "token", "private", "security", "welcome", "letmein", "monkey",
    "dragon", "orchestrator", "company", "domain", "strong", "super", "server", "service", "database", "please",
)  # fmt: skip
"""What people type into secrets; at least five letters each, so that random text hardly ever has one."""

COMMON_PAIRS = frozenset(re.findall("..", "thheineranreonatenndtiesorteofisitalarsttontngsehaasouioleve"))
"""The pairs of letters that make up about half of English text, and a fifteenth of random letters."""

_REPEATED = 8
"""Characters: a piece of this length that was there before is no chance, even in hexadecimal text."""

_BITS_OF_A_WORD = 11
"""One of two thousand words that people choose from."""

_BITS_OF_A_LETTER_IN_PROSE = 2


def estimated_bits(text: str) -> float:
    """Bits that a guesser must try, at most: a text may be weaker than this, but random text is not told to be.

    Each character counts as much as the kind of text allows (4 bits in hexadecimal), after taking out what is
    repeated, counted up or a word. A text with few different characters counts by how often each appears, and one
    whose letters follow one another as in English counts as prose.
    """
    rest, words = _without_patterns(text)
    if not rest:
        return words
    kind = math.log2(_kind(text))
    spread = _spread(rest)
    # Random text uses nearly as many characters as its length or its alphabet allows.
    usual = math.log2(min(len(rest), _kind(text))) if len(rest) > 1 else 1.0
    each = kind if spread >= 0.65 * usual else min(spread, kind)
    if _reads_like_prose(text):
        each = min(each, _BITS_OF_A_LETTER_IN_PROSE)
    return words + each * len(rest)


def _kind(text: str) -> int:
    """How many characters the text was probably chosen from."""
    if re.fullmatch(r"[0-9a-f]+|[0-9A-F]+", text):
        return 10 if text.isdigit() else 16
    size = 0
    for group in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
        size += len(group) if set(group) & set(text) else 0
    return max(2, size + (2 if set(text) & set("-_+/=") else 0) + (30 if set(text) - _PLAIN else 0))


_PLAIN = set(string.ascii_letters + string.digits + "-_+/=")


def _without_patterns(text: str) -> tuple[str, float]:
    """The text without words, runs and repetitions, and the bits of what was taken out."""
    bits = 0.0
    for word in sorted(WORDS, key=len, reverse=True):
        text, count = re.subn(re.escape(word), "\x00", text, flags=re.IGNORECASE)
        bits += count * _BITS_OF_A_WORD
    kept = []
    index = 0
    while index < len(text):
        if text[index] == "\x00":
            index += 1
        elif length := max(_run(text, index), _repetition(text, index)):
            bits += math.log2(len(text)) * 2
            index += length
        else:
            kept.append(text[index])
            index += 1
    return "".join(kept), bits


def _run(text: str, start: int) -> int:
    """Length of what is one character again and again, or counted up or down from here; 0 when it is short."""
    lower = text.lower()
    # In a long text five characters in a row happen by chance.
    least = 5 if len(text) < 24 else _REPEATED
    best = len(lower[start:]) - len(lower[start:].lstrip(lower[start]))
    for sequence in SEQUENCES:
        for ordered in (sequence, sequence[::-1]):
            length = least
            while start + length <= len(lower) and lower[start : start + length] in ordered:
                best = max(best, length)
                length += 1
    return best if best >= least else 0


def _repetition(text: str, start: int) -> int:
    """Length of the piece from here on that began earlier in the text already; 0 when it is short."""
    length = _REPEATED
    found = 0
    while start + length <= len(text) and text.find(text[start : start + length], 0, start + length - 1) != -1:
        found = length
        length += 1
    return found


def _spread(text: str) -> float:
    """Shannon's entropy of one character, by how often each appears."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def _reads_like_prose(text: str) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    capitals = sum(letter.isupper() for letter in letters)
    if 0.25 * len(letters) < capitals < 0.9 * len(letters):
        return False
    pairs = [first + second for first, second in pairwise(text.lower())]
    pairs = [pair for pair in pairs if pair.isalpha()]
    return len(pairs) >= 10 and sum(pair in COMMON_PAIRS for pair in pairs) >= 0.28 * len(pairs)
