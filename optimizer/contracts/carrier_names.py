"""Carriers' codes, and how exports spell them."""

from __future__ import annotations

from collections.abc import Iterable

#: Code: spellings in exports of platforms, shops and carriers, other than the code.
SPELLINGS = {
    "zhongtong": ("中通", "中通快递", "中通速递", "ZTO", "zto", "ZTO Express"),
    "yuantong": ("圆通", "圆通速递", "圆通快递", "YTO", "yto", "YTO Express"),
    "yunda": ("韵达", "韵达快递", "韵达速递", "YUNDA", "Yunda", "YD", "yd"),
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
