"""The end of the report: refused rows, inputs, rules and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.insight.report.markup import (
    NOTHING,
    Html,
    count,
    element,
    join,
    name,
    share,
    text,
)
from optimizer.insight.report.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optimizer.insight.report.figures import Figures
    from optimizer.insight.report.language import Language

_MAX_FILES, _MAX_CARRIERS, _MAX_LIBRARIES = 12, 30, 20
_SHORT = 12


def quarantine(night: Figures, language: Language) -> Html:
    """Count refused rows by the rule that they break."""
    say = language.say
    heading = element("h2", say("quarantine"))
    if not night.rules:
        note = element("p", say("no_quarantine"), class_="quiet")
        return element("section", heading, note)
    number = count(night.record["summary"]["num_quarantined"])
    rows = [
        [
            element("th", name(rule["source"]), scope="row"),
            element("td", element("code", name(rule["column"]))),
            element("td", element("bdi", language.rule(rule["rule"]))),
            element("td", count(rule["len"])),
        ]
        for rule in night.rules
    ]
    heads = [say("table"), say("column"), say("rule"), say("rows")]
    more = NOTHING
    if night.num_rules > len(rows):
        numbers = {"shown": count(len(rows)), "total": count(night.num_rules)}
        more = element("p", say("more_rules", **numbers), class_="quiet")
    return element(
        "section",
        heading,
        element("p", say("quarantine_note", number=number), class_="lede"),
        _table(say("quarantine_caption"), heads, rows),
        more,
    )


def origin(night: Figures, language: Language) -> Html:
    """Name what went in, the rules in force, and the program."""
    say, record = language.say, night.record
    return element(
        "section",
        element("h2", say("origin")),
        element("h3", say("inputs")),
        _inputs(record["inputs"], language),
        element(
            "div",
            element("div", element("h3", say("policy")), _policy(record, language)),
            element("div", element("h3", say("program")), _program(record, language)),
            class_="pair",
        ),
    )


def footer(night: Figures, language: Language) -> Html:
    """Say how to go on from here."""
    say, date = language.say, night.record["date"]
    folder = element("code", text(f"optimizer verify …/{date}"))
    order = element("code", text(f"optimizer explain …/{date} ORDER_ID"))
    return element(
        "footer",
        element("p", say("footer")),
        element("p", say("verify"), Html(" "), folder),
        element("p", say("explain"), Html(" "), order),
    )


def _inputs(inputs: Mapping[str, Any], language: Language) -> Html:
    say = language.say
    rows = []
    for table, used in sorted(inputs.items()):
        files = used["files"]
        names = [_file(file["path"]) for file in files[:_MAX_FILES]]
        sums = [
            element("code", name(file["sha256"][:_SHORT]))
            for file in files[:_MAX_FILES]
        ]
        if len(files) > _MAX_FILES:
            names.append(say("more_files", number=count(len(files) - _MAX_FILES)))
        rows.append(
            [
                element("th", name(table), scope="row"),
                element("td", join(*names, between=" ")),
                element("td", join(*sums, between=" ")),
                element("td", count(used["num_rows"])),
            ]
        )
    heads = [say("table"), say("file"), say("checksum"), say("rows")]
    return _table(say("inputs_caption"), heads, rows)


def _file(path: str | None) -> Html:
    """A file without its folder."""
    return name(str(path).replace("\\", "/").rpartition("/")[2]) if path else Html("–")


def _policy(record: Mapping[str, Any], language: Language) -> Html:
    say, policy = language.say, record["policy"]
    objective = record["config"]["objective"]
    fee, claim = policy["fee"], policy["compensation"]
    payers = [
        say("bears", who=say(who), share=share(part))
        for who, part in fee["payer"].items()
        if float(part) > 0
    ]
    amount = say("fee_note", amount=language.cny(fee["amount_cny"]))
    promise = say(
        "broken_promise_note",
        amount=language.cny(claim["amount_cny"]),
        who=say(claim["payee"]),
    )
    harm = say(
        "harm_note",
        complaint=language.cny(objective["complaint_cost_cny"]),
        returned=language.cny(objective["return_cost_cny"]),
    )
    return _facts(
        language,
        ("valid_from", language.day(policy["valid_from"])),
        ("cap", say(f"cap_{policy['cap']['base']}", rate=share(policy["cap"]["rate"]))),
        ("fee", join(amount, *payers, between=say("sep"))),
        ("fee_share", say("fee_share_note", share=share(objective["fee_share"]))),
        ("broken_promise", promise),
        ("harm", harm),
        ("roster", _names(policy["carriers"], language)),
    )


def _program(record: Mapping[str, Any], language: Language) -> Html:
    say, identity, end = language.say, record["identity"], record["termination"]
    libraries = [
        join(name(library), name(version), between=" ")
        for library, version in sorted(record["versions"].items())
    ]
    method = record["config"].get("solver", {}).get("method", "")
    key = end["limit"] or end["reason"]
    stop = say(key) if key in WORDS else name(key)
    ran = [name(method), name(record["problem_class"]), stop]
    return _facts(
        language,
        ("version", name(f"premium-delivery-optimizer {identity['version']}")),
        ("config", element("code", name(identity["config_sha256"][:_SHORT]))),
        ("termination", join(*ran, between=say("sep"))),
        ("libraries", join(*libraries[:_MAX_LIBRARIES], between=say("sep"))),
    )


def _names(names: Iterable[str], language: Language) -> Html:
    listed = list(names)
    shown = [name(carrier) for carrier in listed[:_MAX_CARRIERS]]
    if len(listed) > len(shown):
        rest = count(len(listed) - len(shown))
        shown.append(language.say("more_names", number=rest))
    return join(*shown, between=language.say("sep"))


def _facts(language: Language, *facts: tuple[str, Html]) -> Html:
    pairs = [
        element("div", element("dt", language.say(key)), element("dd", value))
        for key, value in facts
    ]
    return element("dl", *pairs)


def _table(caption: Html, heads: list[Html], rows: list[list[Html]]) -> Html:
    table = element(
        "table",
        element("caption", caption),
        element(
            "thead", element("tr", *(element("th", h, scope="col") for h in heads))
        ),
        element("tbody", *(element("tr", *row) for row in rows)),
        class_="list wide",
    )
    return element("div", table, class_="scroll")
