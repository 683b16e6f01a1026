"""No personal data: columns and values that look personal are refused, never shown."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from optimizer.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl

#: Words of a column name that mean a person, wherever they stand in it.
_WORDS = {
    *("phone", "telephone", "tel", "mobile", "cellphone", "email", "mail", "wechat"),
    *("address", "addr", "street", "receiver", "recipient", "consignee", "buyer"),
    *("firstname", "lastname", "fullname", "surname", "passport", "birthday", "idcard"),
    *("addressee", "contact", "nickname", "realname", "username"),
}
_NAMES = {"name", "id_card", "id_number", "full_name", "first_name", "last_name"}
#: A name with one of these, at its beginning or end, is of a kind, a flag or a number.
_FIRST = {"is", "has", "was", "can", "num", "count", "avg", "mean", "total"}
_LAST = {
    *("type", "class", "kind", "category", "level", "tier", "grade", "status", "flag"),
    *("rate", "ratio", "share", "count", "score", "probability", "prob"),
    *("verified", "valid", "optin", "optout", "days", "hours", "channel", "method"),
}
_CHINESE_KIND = re.compile(
    r"^(?:是否|有无|能否)|(?:类型|类别|等级|状态|标志|数量|次数|率|比例|占比|渠道)$"
)
#: Whose name is a person's: a merchant's or a carrier's is not.
_PERSONS = ("customer", "client", "user", "member", "sender", "shipper", "owner")
_CHINESE = (
    *("姓名", "名字", "电话", "手机", "地址", "收件人", "收货人", "寄件人", "买家"),
    *("身份证", "邮箱", "联系方式", "联系人", "门牌", "微信", "昵称"),
    *("電話", "手機", "收貨人", "買家", "身份證", "身分證", "郵箱", "電郵"),
    *("聯繫方式", "聯絡方式", "聯繫人", "聯絡人", "門牌", "暱稱"),
)

_PHONE = re.compile(r"(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}")
_MASKED = re.compile(r".*\d{2,4}\*{2,}\d{0,4}.*|[\u4e00-\u9fff]\*{1,2}")
_CITIZEN = re.compile(r"\d{17}[\dXx]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]{2,}", re.IGNORECASE)
#: What stands between letters and digits is part of an id, not of a sentence.
_WITHIN = re.compile(
    rf"(?<![0-9A-Za-z])(?:{_PHONE.pattern}|{_CITIZEN.pattern}"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,})(?![0-9A-Za-z])"
)
#: Nothing without this looks personal; most values are passed over by it.
_SUSPECT = r"\d{4}[- ]?\d{4}|[*@]|\d{4}[Xx]"

#: Values of a text column that are looked at in each batch.
SAMPLE_ROWS = 2_000
#: A bare number as long as a phone's.
_DIGITS = re.compile(r"\d{11}")
#: A counter has so many ids at least, its ids lie so near each other, in such a range.
_LEAST_OF_A_COUNTER, _COUNTER_GAP, _COUNTER_RANGE = 10, 10_000, 100_000_000
#: Ids may by chance look like a phone number; a column of them does not.
ID_SHARE = 0.5


def refuse_personal_columns(columns: Iterable[str], label: str) -> None:
    """
    Refuse a table with a column whose name means personal data.

    Raises
    ------
    DataError
        Naming the columns.
    """
    given = [*columns]
    found = [column for column in given if _is_personal(column)]
    if found:
        raise DataError(
            f"{label}: looks like it holds personal data in column {', '.join(found)}; "
            "export the table without it, or if it is no person's, say so: "
            "privacy.allow, with its reason"
        )
    if any(holds_personal(column) for column in given):
        raise DataError(
            f"{label}: the name of a column looks like personal data; is the header "
            "missing? Export the table with its header"
        )


def _is_personal(column: str) -> bool:
    """
    Judge a column by its name.

    Examples
    --------
    >>> [_is_personal(c) for c in ("receiver_tel", "merchant_id", "收件人手机")]
    [True, False, True]
    >>> [_is_personal(c) for c in ("customer_name", "carrier_name", "mobileno2")]
    [True, False, True]
    >>> [_is_personal(c) for c in ("is_mobile", "address_type", "email_opt_in")]
    [False, False, False]
    """
    spaced = re.sub(r"([a-z])([A-Z])", r"\1_\2", column).lower()
    words = [word.rstrip("0123456789") for word in re.split(r"[^a-z0-9]+", spaced)]
    if _is_of_a_kind(words) or _CHINESE_KIND.search(column):
        return False
    if any(_stem(word) in _WORDS or word in _WORDS for word in words):
        return True
    joined = "_".join(words).strip("_")
    is_name = joined in _NAMES or joined.replace("_name", "name").endswith(
        tuple(f"{person}name" for person in _PERSONS)
    )
    return is_name or any(part in column for part in _CHINESE)


def _is_of_a_kind(words: Sequence[str]) -> bool:
    """Whether a name is of a kind, a flag or a number, and not of what it is about."""
    told = [word for word in words if word]
    if len(told) < 2:
        return False
    is_choice = told[-2:] in (["opt", "in"], ["opt", "out"])
    return is_choice or told[0] in _FIRST or told[-1] in _LAST


def _stem(word: str) -> str:
    """Drop what stands for "number": phoneno, telnum, mobilenumber."""
    return re.sub(r"(?:no|num|number)$", "", word)


def refuse_personal_values(
    frame: pl.DataFrame,
    ids: Sequence[str],
    texts: Sequence[str],
    label: str,
    allowed: Sequence[str] = (),
) -> None:
    """
    Refuse a batch whose text looks like phone, identity-card or masked numbers.

    Looks at the first rows of each batch: an export that carries such data carries it
    everywhere. An id is judged as a whole, a free text by any part of it. Ids as dense
    as those of a counter are not phone numbers, though each looks like one.

    Parameters
    ----------
    frame
        The batch.
    ids
        Id columns: refused when most values look personal, for an id may do so by
        chance.
    texts
        Free-text columns: refused at the first such value.
    label
        The table's name in messages.
    allowed
        Columns whose numbers are declared not to be phone numbers.

    Raises
    ------
    DataError
        Naming the column, never a value.
    """
    for column in (*ids, *texts):
        values = frame[column].head(SAMPLE_ROWS).drop_nulls()
        suspects = values.filter(values.str.contains(_SUSPECT)).to_list()
        is_id = column in ids
        if column in allowed or (is_id and _is_counter(suspects)):
            suspects = [text for text in suspects if not _DIGITS.fullmatch(text)]
        num_personal = sum(map(looks_personal if is_id else holds_personal, suspects))
        limit = ID_SHARE * len(values) if is_id else 0
        if num_personal > limit:
            raise DataError(
                f"{label}: values of column {column} look like personal data (phone, "
                "identity card, e-mail or masked numbers); replace them by hashed ids, "
                "or if they are no person's, say so: privacy.allow, with its reason"
            )


def _is_counter(values: Sequence[str]) -> bool:
    """
    Whether eleven-digit ids are drawn from a counter: dense, in a narrow range.

    Phone numbers of customers spread over many prefixes, each of a hundred million
    numbers; within one prefix thousands of them would still lie far apart.

    Examples
    --------
    >>> _is_counter([str(13_000_000_000 + 97 * n) for n in range(50)])
    True
    >>> _is_counter([str(13_000_000_000 + 97_000_003 * n) for n in range(50)])
    False
    """
    numbers = sorted({int(text) for text in values if _DIGITS.fullmatch(text)})
    if len(numbers) < _LEAST_OF_A_COUNTER:
        return False
    gaps = sorted(b - a for a, b in pairwise(numbers))
    is_narrow = numbers[-1] - numbers[0] <= _COUNTER_RANGE
    return is_narrow and gaps[len(gaps) // 2] <= _COUNTER_GAP


def looks_personal(value: str) -> bool:
    """
    Judge one value.

    Examples
    --------
    >>> [looks_personal(v) for v in ("138 0013 8000", "138****8000", "o-17")]
    [True, True, False]
    """
    text = value.strip()
    if _PHONE.fullmatch(text) or _MASKED.fullmatch(text) or _EMAIL.fullmatch(text):
        return True
    return bool(_CITIZEN.fullmatch(text)) and _has_citizen_checksum(text)


def holds_personal(text: str) -> bool:
    """
    Judge a free text: whether it is, or has in it, what looks personal.

    Examples
    --------
    >>> [holds_personal(t) for t in ("请打13800138000", "gift 13800138000123")]
    [True, False]
    """
    if looks_personal(text):
        return True
    found = [match.group() for match in _WITHIN.finditer(text)]
    return any(not _CITIZEN.fullmatch(f) or _has_citizen_checksum(f) for f in found)


def _has_citizen_checksum(text: str) -> bool:
    """Checksum of a Chinese identity number (GB 11643, ISO 7064 MOD 11-2)."""
    total = sum(int(d) * 2 ** (17 - place) for place, d in enumerate(text[:17]))
    return "10X98765432"[total % 11] == text[17].upper()
