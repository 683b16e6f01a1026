"""Catalogues of messages, held against the sources whose messages they translate."""

from __future__ import annotations

import io
import re
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from babel.messages.catalog import Catalog

    from optimizer.contracts.warning_kinds import WarningKind

LOCALE = Path(__file__).parents[2] / "optimizer/report/locale"
CHINESE_LETTER = re.compile(r"[\u4e00-\u9fff]")


def read_catalogue(language: str) -> Catalog:
    """The messages of a language, as people edit them."""
    with (LOCALE / language / "LC_MESSAGES/optimizer.po").open("rb") as file:
        return read_po(file, language, abort_invalid=True)


def compiled(catalogue: Catalog) -> bytes:
    """The file that the program reads, made again."""
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def fields_of(sentence: str) -> set[str]:
    """Names of the placeholders in a sentence."""
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def faults_of_warnings(
    kinds: Mapping[str, WarningKind], catalogue: Catalog
) -> Iterable[str]:
    """What is wrong with the sentences of codes, in English and in a translation."""
    for code, kind in kinds.items():
        fields, free = set(kind.fields), {kind.counted}
        for words in (kind.one, kind.many):
            if not fields - free <= fields_of(words) <= fields:
                yield f"{code}: the English sentence does not use its values"
        message = catalogue.get(kind.one)
        texts = message.string if message else ()
        (text,) = (texts,) if isinstance(texts, str) else (texts or ("",))[:1]
        if not text or message is None or message.fuzzy:
            yield f"{code}: has no translation"
            continue
        if message.pluralizable != (kind.one != kind.many):
            yield f"{code}: one form is translated, the other is not"
        if fields_of(text) != fields_of(kind.many):
            yield f"{code}: the translation uses other values"
        if not CHINESE_LETTER.search(text):
            yield f"{code}: the translation is not Chinese"
