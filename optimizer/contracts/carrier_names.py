"""Carriers' codes, and how exports spell them."""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable

#: Code: spellings in exports of platforms, shops and carriers, other than the code.
SPELLINGS = {
    "zhongtong": ("中通", "中通快递", "中通速递", "ZTO", "zto", "ZTO Express"),
    "yuantong": ("圆通", "圆通速递", "圆通快递", "YTO", "yto", "YTO Express"),
    "yunda": (
        *("韵达", "韵达快递", "韵达速递", "YUNDA", "Yunda", "YD", "yd"),
        "Yunda Express",
    ),
    "shentong": ("申通", "申通快递", "STO", "sto", "STO Express"),
    "jitu": ("极兔", "极兔速递", "极兔快递", "J&T", "JT", "jt", "J&T Express"),
    "shunfeng": ("顺丰", "顺丰速运", "顺丰快递", "SF", "sf", "SF Express"),
    "jd": ("京东", "京东快递", "京东物流", "JD", "JDL", "jdl", "JD Logistics"),
    "ems": ("EMS", "邮政EMS", "中国邮政EMS", "邮政特快"),
    "youzheng": ("邮政", "中国邮政", "邮政快递包裹", "邮政小包", "POSTB", "China Post"),
    "debang": ("德邦", "德邦快递", "德邦物流", "DBL", "DEPPON", "Deppon"),
}


def known_carriers() -> dict[str, str]:
    """Each spelling, and the code that it means."""
    return {word: code for code, words in SPELLINGS.items() for word in words}


def carriers_in(words: Iterable[str]) -> dict[str, str]:
    """
    Known spellings among some words, with their codes.

    Examples
    --------
    >>> carriers_in(["中通快递", "YTO", "Dragon Post"])
    {'中通快递': 'zhongtong', 'YTO': 'yuantong'}
    """
    known = known_carriers()
    return {word: known[word] for word in words if word in known}


def nearest_carriers(word: str) -> tuple[str, ...]:
    """
    Codes of the carriers whose names are nearest to a word, to be shown, not taken.

    Examples
    --------
    >>> [nearest_carriers(word) for word in ("中通快运", "ZTO Freight", "UPS")]
    [('zhongtong',), ('zhongtong',), ()]
    """
    own = {_bare(written): code for written, code in known_carriers().items()}
    own |= {code: code for code in SPELLINGS}
    bare = _bare(word)
    if bare in own:
        return (own[bare],)
    parts = {_bare(part) for part in re.split(r"[\s_/-]+", word)} & own.keys()
    if parts:
        return tuple(dict.fromkeys(own[part] for part in sorted(parts)))
    near = difflib.get_close_matches(bare, own, 2, 0.75 if bare.isascii() else 0.65)
    return tuple(dict.fromkeys(own[name] for name in near))


def _bare(name: str) -> str:
    """A carrier's name without what all carriers are called."""
    text = unicodedata.normalize("NFKC", name).casefold()
    bare = re.sub(_USUAL, "", re.sub(r"[^\w&]", "", text))
    return bare or text


_USUAL = (
    r"快递|快运|速递|速运|物流|包裹|股份|有限公司|集团|kuaidi|express|exp$|logistics"
)


def carrier_line(words: Iterable[str]) -> str:
    """
    Write the line of a configuration in which somebody says which carriers words are.

    Parameters
    ----------
    words
        As the table has them.

    Examples
    --------
    >>> carrier_line(["飞天邮", "UPS: air"])
    'carrier_id: {known: true, 飞天邮: CODE, "UPS: air": CODE}'
    """
    pairs = [f"{_as_key(word)}: CODE" for word in words]
    return f"carrier_id: {{{', '.join(['known: true', *pairs])}}}"


def _as_key(word: str) -> str:
    """Write a word as a key of YAML, in quotes where it must be."""
    is_text = word.isalpha() and word.casefold() not in _NO_TEXT
    return word if is_text else json.dumps(word, ensure_ascii=False)


#: Words that are no text to YAML.
_NO_TEXT = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
