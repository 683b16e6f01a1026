"""No personal data: columns and values that look personal are refused, never shown."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from optimizer.errors import DataError
from optimizer.io.glance import names_matching

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

#: Words of a column name that mean a person, wherever they stand in it.
_WORDS = {
    *("phone", "telephone", "tel", "mobile", "cellphone", "email", "mail", "wechat"),
    *("address", "addr", "street", "receiver", "recipient", "consignee", "buyer"),
    *("firstname", "lastname", "fullname", "surname", "passport", "birthday", "idcard"),
    *("addressee", "contact", "nickname", "realname", "username", "wangwang", "qq"),
    *("openid", "iban", "dob", "shouji", "dianhua", "xingming", "dizhi", "shouhuoren"),
}
_NAMES = {
    *("name", "id_card", "id_number", "full_name", "first_name", "last_name"),
    *("given_name", "family_name", "birth_date", "date_of_birth", "house_number"),
    *("id_no", "idno", "bank_card", "credit_card", "card_number", "bank_account"),
    *("door_no", "room_no", "to_name", "ship_to_name", "shipping_name", "billing_name"),
}
#: Though a word of a person stands in it: a waybill, and an address as a number.
_NOT_PERSONAL = {"mail_no", "mailno", "address_id", "addr_id", "open_address_id"}
#: What only an export of Shopify's orders has.
_OF_SHOPIFY = {"financial status", "fulfillment status", "lineitem quantity"}
#: A name with one of these, at its beginning or end, is of a kind, a flag or a number.
_FIRST = {"is", "has", "was", "can", "num", "count", "avg", "mean", "total"}
_LAST = {
    *("type", "class", "kind", "category", "level", "tier", "grade", "status", "flag"),
    *("rate", "ratio", "share", "count", "score", "probability", "prob"),
    *("verified", "valid", "optin", "optout", "days", "hours", "channel", "method"),
    *("hash", "hashed", "md5", "sha", "sha1", "sha256", "sha512", "hmac"),
    *("brand", "model", "os", "version", "segment", "cluster", "attempts", "weight"),
    *("country", "province", "state", "city", "region", "postcode"),
}
_CHINESE_KIND = re.compile(
    r"^(?:是否|有无|能否|手机端|移动端)|(?:类型|类别|等级|状态|标志|数量|次数|率|比例|占比|渠道"
    r"|金额|价格|单价|总价|运费|费用|积分|型号|品牌|系统|版本|编码|省|省份|城市|市|地区|区域|国家|哈希)$"
)
#: Whose name is a person's: a merchant's or a carrier's is not.
_PERSONS = (
    *("customer", "client", "user", "member", "sender", "shipper", "owner", "cust"),
)
_CHINESE = (
    *("姓名", "名字", "电话", "手机", "地址", "收件人", "收货人", "寄件人", "买家"),
    *("身份证", "邮箱", "联系方式", "联系人", "门牌", "微信", "昵称", "住址", "旺旺"),
    *("护照", "银行卡", "会员名", "客户名", "用户名", "生日", "出生", "QQ", "qq"),
    *("電話", "手機", "收貨人", "買家", "身份證", "身分證", "郵箱", "電郵"),
    *("聯繫方式", "聯絡方式", "聯繫人", "聯絡人", "門牌", "暱稱"),
)

#: What people put between the digits of a number.
_GAP = r"[-. ]?"
_PHONE = re.compile(
    r"(?:(?:\(\+?86\)|\+?86|0086)[- ]?)?"
    rf"(?:1[3-9]\d{_GAP}\d{{4}}{_GAP}\d{{4}}|1[3-9]\d\d{_GAP}\d{{4}}{_GAP}\d{{3}}"
    rf"|1[3-9]\d{_GAP}\d{{3}}{_GAP}\d{{5}})"
)
#: An area code, and a number that no exchange begins with 0 or 1; told apart by a sign.
_LANDLINE = re.compile(
    r"(?:\(0(?:10|2\d|[3-9]\d\d)\) ?"
    r"|(?:0|(?:\+86|0086)[- ]?0?)(?:10|2\d|[3-9]\d\d)[- ])[2-8]\d{2,3}[- ]?\d{4}"
)
#: With the sign of international numbers.
_ABROAD = re.compile(r"\+\d{1,3}[- ]?\(?\d{2,4}\)?(?:[- ]?\d){4,9}")
_MASKED = re.compile(
    r".*\d{2,4}[*•●]{2,}\d{0,4}.*|\d{3}[xX]{4}\d{4}"
    r"|[\u4e00-\u9fff]\*{1,2}[\u4e00-\u9fff]?|\*{1,2}[\u4e00-\u9fff]"
)
_CITIZEN = re.compile(rf"\d{{6}}{_GAP}\d{{8}}{_GAP}\d{{3}}[\dXx]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^\W\d_]{2,}")
_KNOWN = (_PHONE, _LANDLINE, _ABROAD, _MASKED, _EMAIL)
#: Of letters and digits alone nothing else is.
_OF_BARE = (_PHONE, _MASKED)
#: What stands between letters and digits is part of an id, not of a sentence.
_WITHIN = re.compile(
    rf"(?<![0-9A-Za-z+])(?:{_PHONE.pattern}|{_CITIZEN.pattern}|{_ABROAD.pattern}"
    rf"|(?<!-){_LANDLINE.pattern}"
    r"|\d{3}(?:[*•●]{4}|[xX]{4})\d{4}"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,})(?![0-9A-Za-z])"
)
#: A house with its street, or a room; a form of address after a name.
_PLACE_OR_PERSON = re.compile(
    r"[\u4e00-\u9fff](?:路|街|大道|巷|弄|胡同|村) ?\d+ ?(?:号|弄|栋|幢)"
    r"|\d+ ?(?:号楼|栋|幢|单元|楼) ?\d+ ?(?:室|号|单元|层)?"
    r"|(?:收件人|收货人|寄件人|联系人|姓名)[:： ]?[\u4e00-\u9fff]{2,4}"
    r"|[\u4e00-\u9fff](?:先生|女士|小姐)"
    r"|\b\d+ (?:[A-Z]\w* ){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive)\b"
)
#: No id without this looks personal; most values are passed over by it.
SUSPECT_ID = r"(?:\d[-–—. \u00a0()]*){10,}|[*@＠＊•●+＋]|\d{3}[xX]{4}|\d{4}[Xx]"
#: Nor does a free text without this, in which names and addresses may stand.
SUSPECT = (
    rf"{SUSPECT_ID}|[先女小][生士姐]"
    r"|[路街道巷弄同村楼栋幢元]|[收寄系姓][件货人名]|[Ss]t|[Rr]d|[Aa]ve|Lane|Drive"
)
#: Letters and digits alone, as many as no number of a person has.
_NO_NUMBER = (
    r"^(?:[0-9A-Za-z]{1,10}|[0-9A-Za-z]{12}|[0-9A-Za-z]{14}|[0-9A-Za-z]{16,17}"
    r"|[0-9A-Za-z]{19,})$"
)
#: Signs of an identity number, and the last one by its checksum.
_CARD, _LAST_SIGNS = 18, "10X98765432"
#: What numbers of orders look like: no space in them, and some digit.
_ORDER_NUMBER = re.compile(r"[#№]?(?=.*\d)[0-9A-Za-z][0-9A-Za-z._/#-]{0,63}", re.ASCII)
#: Signs that look like others, written as those.
_SIGNS = str.maketrans("–—‐‑−。．·", "-----...")
#: What a spreadsheet or a program puts around a value.
_AROUND = " \t\r\n\"'`‘’“”=[]<>"

#: Values of a text column that are looked at in each batch.
SAMPLE_ROWS = 2_000
#: A number as long as a phone's, alone or as a part of an id.
_DIGITS = re.compile(r"(?<![0-9A-Za-z])\d{11}(?![0-9A-Za-z])")
#: A counter has so many ids at least, its ids lie so near each other, in such a range.
_LEAST_OF_A_COUNTER, _COUNTER_GAP, _COUNTER_RANGE = 10, 10_000, 100_000_000
#: Or so many at least, in a range that phones of one prefix do not keep to.
_MANY_OF_A_COUNTER, _NARROW_RANGE = 30, 50_000_000
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
    found = personal_columns(given)
    if found:
        raise DataError(
            f"{label}: looks like it holds personal data in column {', '.join(found)}; "
            "export the table without it, or if it is no person's, say so: "
            "privacy.allow, with its reason"
        )
    if any(_holds_personal(column) for column in given):
        raise DataError(
            f"{label}: the name of a column looks like personal data; is the header "
            "missing? Export the table with its header"
        )


def personal_columns(columns: Sequence[str]) -> list[str]:
    """
    Columns whose name means personal data, among those of a table.

    Shopify's exports call the order's number ``Name``; its neighbours say so.

    Examples
    --------
    >>> personal_columns(["Name", "Email", "Financial Status"])
    ['Email']
    >>> personal_columns(["Name", "Email"])
    ['Name', 'Email']
    """
    beside = {column.strip().lower() for column in columns}
    own = {"name"} if beside & _OF_SHOPIFY else set()
    return [
        column
        for column in columns
        if is_personal_column(column) and column.strip().lower() not in own
    ]


@lru_cache
def is_personal_column(column: str) -> bool:
    """
    Judge a column by its name.

    Examples
    --------
    >>> [is_personal_column(c) for c in ("receiver_tel", "merchant_id", "收件人手机")]
    [True, False, True]
    >>> [is_personal_column(c) for c in ("customer_name", "carrier_name", "mobileno2")]
    [True, False, True]
    >>> [is_personal_column(c) for c in ("is_mobile", "address_type", "email_opt_in")]
    [False, False, False]
    """
    column = unicodedata.normalize("NFKC", column)
    spaced = re.sub(r"([a-z])([A-Z])", r"\1_\2", column).lower()
    parts = [part for part in re.split(r"[^a-z0-9]+", spaced) if part]
    if "_".join(parts) in _NOT_PERSONAL or _is_of_a_kind(parts):
        return False
    if _CHINESE_KIND.search(column):
        return False
    words = [part.rstrip("0123456789") for part in parts]
    if any(_stem(word) in _WORDS or word in _WORDS for word in words):
        return True
    joined = "_".join(words).strip("_")
    is_name = joined in _NAMES or joined.replace("_name", "name").endswith(
        tuple(f"{person}name" for person in _PERSONS)
    )
    return is_name or any(part in "".join(column.split()) for part in _CHINESE)


def _is_of_a_kind(words: Sequence[str]) -> bool:
    """Whether a name is of a kind, a flag or a number, and not of what it is about."""
    if len(words) < 2:
        return False
    is_choice = [*words[-2:]] in (["opt", "in"], ["opt", "out"])
    last = {words[-1], words[-1].rstrip("0123456789")}
    return is_choice or words[0] in _FIRST or bool(last & _LAST)


def _stem(word: str) -> str:
    """Drop what stands for "number", and plurals: phoneno, telnum, addresses."""
    return re.sub(r"(?:no|num|number|(?<=s)es|(?<!s)s)$", "", word)


def refuse_personal_values(
    frame: pl.DataFrame,
    distinct: Mapping[str, pl.Series],
    ids: Sequence[str],
    label: str,
    allowed: Sequence[str] = (),
) -> None:
    """
    Refuse a batch whose text looks like phone, identity-card or masked numbers.

    Looks at the first rows of each batch: an export that carries such data carries it
    everywhere. Ids as dense as those of a counter are not phone numbers, though each
    looks like one. Addresses and names are looked for in free text alone: an outlet may
    be called after its street.

    Parameters
    ----------
    frame
        The batch.
    distinct
        Different values of each column to look at, in the first rows; those may be left
        out of ids that :data:`SUSPECT_ID` is not found in.
    ids
        Those that are ids: refused when most values look personal, for an id may do so
        by chance. The others are free text: refused at the first such value.
    label
        The table's name in messages.
    allowed
        Columns whose numbers are declared not to be phone numbers.

    Raises
    ------
    DataError
        Naming the column, never a value.
    """
    of_ids = {name: values for name, values in distinct.items() if name in ids}
    texts = {name: values for name, values in distinct.items() if name not in ids}
    for column in [
        *names_matching(of_ids, SUSPECT_ID),
        *names_matching(texts, SUSPECT),
    ]:
        is_id = column in ids
        values = frame[column].head(SAMPLE_ROWS).drop_nulls()
        suspected = values.filter(
            values.str.contains(SUSPECT_ID if is_id else SUSPECT)
            & ~values.str.contains(_NO_NUMBER)
        )
        suspects = [*map(_plain, suspected.to_list())]
        if column in allowed or (is_id and _is_counter(suspects)):
            suspects = [text for text in suspects if not _DIGITS.search(text)]
        cards = [*filter(_is_like_a_card, suspects)]
        others = [text for text in suspects if not _is_like_a_card(text)]
        num_personal = sum(map(holds_personal if is_id else _is_told, others))
        num_personal += _num_with_checksum(cards)
        limit = ID_SHARE * len(values) if is_id else 0
        if num_personal > limit:
            raise DataError(
                f"{label}: values of column {column} look like personal data (phone, "
                "identity card, e-mail or masked numbers, names, addresses); replace "
                "them by hashed ids, or if they are no person's, say so: "
                "privacy.allow, with its reason"
            )


def refuse_names(values: pl.Series, written: str, label: str) -> None:
    """
    Refuse ids out of a column that is named like a person's data, if they look so.

    Such a column is read because somebody says that it holds ids; numbers of orders
    look like ``#1001``, and names of people do not.

    Parameters
    ----------
    values
        Text; the first rows are looked at.
    written
        The column's name in the table.
    label
        The table's name in messages.

    Raises
    ------
    DataError
        Naming the column, never a value.
    """
    if not is_personal_column(written):
        return
    seen = values.head(SAMPLE_ROWS).drop_nulls()
    texts = [text for value in seen if (text := _plain(value))]
    if all(_ORDER_NUMBER.fullmatch(t) and not looks_personal(t) for t in texts):
        return
    raise DataError(
        f"{label}: column {written} is named as an id, and its values do not look like "
        "order numbers (#1001) but like personal data; name another column, or if they "
        "are no person's, say so: privacy.allow, with its reason"
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
    found = (_DIGITS.search(text) for text in values)
    numbers = sorted({int(match.group()) for match in found if match})
    if len(numbers) < _LEAST_OF_A_COUNTER:
        return False
    spread = numbers[-1] - numbers[0]
    if len(numbers) >= _MANY_OF_A_COUNTER and spread <= _NARROW_RANGE:
        return True
    gaps = sorted(b - a for a, b in pairwise(numbers))
    return spread <= _COUNTER_RANGE and gaps[len(gaps) // 2] <= _COUNTER_GAP


def _is_like_a_card(text: str) -> bool:
    """Whether a text is as long as an identity number, and nothing else than digits."""
    return (
        len(text) == _CARD
        and text.isascii()
        and text[:-1].isdigit()
        and (text[-1] in "0123456789Xx")
    )


def _num_with_checksum(cards: Sequence[str]) -> int:
    """
    How many of some texts like cards are, by their checksum: a thousand at a time.

    Examples
    --------
    >>> _num_with_checksum(["11010519491231002X", "110105194912310021"])
    1
    """
    import numpy as np

    signs = np.frombuffer("".join(cards).upper().encode(), np.uint8)
    signs = signs.reshape(-1, _CARD)
    total = (signs[:, :-1].astype(np.int64) - ord("0")) @ (2 ** np.arange(17, 0, -1))
    last = np.frombuffer(_LAST_SIGNS.encode(), np.uint8)[total % len(_LAST_SIGNS)]
    return int(np.count_nonzero(last == signs[:, -1]))


def _is_bare(text: str) -> bool:
    """Whether a text is of ASCII letters and digits alone: it has no parts."""
    return text.isascii() and text.isalnum()


def _plain(text: str) -> str:
    """
    Write a value as people mean it: width, dashes, and what tools put around it.

    Examples
    --------
    >>> [_plain(t) for t in ("１３８–0013", '="138"', "'138.0", "tel: 138")]
    ['138-0013', '138', '138', '138']
    """
    if _is_bare(text):
        return text
    plain = unicodedata.normalize("NFKC", text).translate(_SIGNS).strip(_AROUND)
    plain = re.sub(r"^(?:tel|phone|mobile|手机|电话)[: ]+", "", plain, flags=re.I)
    return re.sub(r"^(\d+)\.0$", r"\1", plain)


def looks_personal(value: str) -> bool:
    """
    Judge one value.

    Examples
    --------
    >>> [looks_personal(v) for v in ("138 0013 8000", "138****8000", "o-17")]
    [True, True, False]
    """
    text = _plain(value)
    known = _OF_BARE if _is_bare(text) else _KNOWN
    if any(pattern.fullmatch(text) for pattern in known):
        return True
    return bool(_CITIZEN.fullmatch(text)) and _has_citizen_checksum(text)


def holds_personal(text: str) -> bool:
    """
    Judge an id or a text: whether it is, or has in it, what looks personal.

    Examples
    --------
    >>> [holds_personal(t) for t in ("请打13800138000", "gift 13800138000123")]
    [True, False]
    """
    plain = _plain(text)
    if looks_personal(plain):
        return True
    return not _is_bare(plain) and hidden(plain) != plain


#: For names of columns, which come again.
_holds_personal = lru_cache(holds_personal)


def hidden(text: str) -> str:
    """
    Take out of a message what looks personal.

    Examples
    --------
    >>> hidden("cannot read '13800138000' as a number")
    "cannot read '…' as a number"
    """

    def shown(match: re.Match[str]) -> str:
        found = match.group()
        is_card = _CITIZEN.fullmatch(found)
        return found if is_card and not _has_citizen_checksum(found) else "…"

    plain = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    found = _WITHIN.sub(shown, plain)
    return text if found == plain else found


def _is_told(text: str) -> bool:
    """Judge a free text, in which names and addresses are personal as well."""
    return holds_personal(text) or bool(_PLACE_OR_PERSON.search(text))


def _has_citizen_checksum(text: str) -> bool:
    """Checksum of a Chinese identity number (GB 11643, ISO 7064 MOD 11-2)."""
    text = re.sub(r"[-. ]", "", text)
    total = sum(int(d) * 2 ** (17 - place) for place, d in enumerate(text[:17]))
    return _LAST_SIGNS[total % len(_LAST_SIGNS)] == text[17].upper()
