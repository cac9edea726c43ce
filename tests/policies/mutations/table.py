"""The page docs/policies.md, with what each requirement's mutation is: `python -m tests.policies.mutations.table`."""

from __future__ import annotations

import re
import sys
from itertools import takewhile

from checklist.catalogue import load
from policies.engine.profiles import load_profiles
from policies.engine.rule import all_rules
from policies.reference import render
from policies.rules.secrets_project import ISSUED_TOKENS, is_random
from tests.policies.mutations import all_mutations
from tests.policies.mutations.harness import Mutation

LONGEST = 110
INTRODUCTION = """
## Seen to fail

For each requirement the smallest change of this project that breaks it. Each is made in a copy, judged by
`policy STACK` (for what is no resource: with `--reports`), and must be found under that requirement's name, by that
rule, with no other requirement turning red but those that are listed with it: `./deploy-api.sh test --ring policies`.
What is deployed is previewed under the pack by the engine, too.

| requirement | stack | mutation | found by |
|---|---|---|---|"""


def page() -> str:
    """The whole page: reference of the rules, and the table."""
    rows = [_row(each) for each in sorted(all_mutations(), key=lambda each: (each.item, each.stack))]
    return render(all_rules(), load_profiles(), load()) + "\n".join([INTRODUCTION, *rows]) + "\n"


def _row(mutation: Mutation) -> str:
    found = "the model of the description" if mutation.check == "model" else mutation.check.replace("_", " ")
    also = f"; also {', '.join(sorted(mutation.consequences))}" if mutation.consequences else ""
    return f"| [{mutation.item}](#{mutation.item}) | {mutation.stack} | {_change(mutation)} | {found}{also} |"


def _change(mutation: Mutation) -> str:
    if mutation.command:
        return _code("git " + " ".join(mutation.command))
    old, new = (" ".join(text.split()) for text in (mutation.old, mutation.new))
    before, after = _apart(old, new)
    if not after:
        return f"{mutation.file}: without {_code(before)}"
    return f"{mutation.file}: {_code(before)} becomes {_code(after)}"


def _apart(old: str, new: str) -> tuple[str, str]:
    """Both without the words that they begin and end with in common, where they are long; with … for those."""
    if max(len(old), len(new)) <= LONGEST:
        return old, new
    was, becomes = old.split(), new.split()
    start = _alike(was, becomes)
    was, becomes = was[start:], becomes[start:]
    end = _alike(was[::-1], becomes[::-1])
    shown = []
    for words in (was, becomes):
        text = " ".join(words[: len(words) - end])
        shown.append(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")
    return shown[0], shown[1]


def _alike(one: list[str], other: list[str]) -> int:
    """How many words both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _code(text: str) -> str:
    """As code in a table's cell; a token of somebody's stays out of the page, however made up it is."""
    text = ISSUED_TOKENS.sub("(a token)", text)
    text = re.sub(r"[A-Za-z0-9+/=_~-]{20,}", lambda word: "(a key)" if is_random(word[0]) else word[0], text)
    fence = "``" if "`" in text else "`"
    return f"{fence}{text.replace('|', chr(92) + '|')}{fence}"


if __name__ == "__main__":
    sys.stdout.write(page())
