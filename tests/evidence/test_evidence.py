"""The chain of evidence: what it proves of an order, and which edits an audit finds."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from optimizer.config import load_config
from optimizer.contracts.tables import DECISIONS
from optimizer.errors import DataError
from optimizer.evidence.audit import audit
from optimizer.evidence.check import check_evidence
from optimizer.job import run_date
from optimizer.night import merkle
from optimizer.night.past_nights import rollback
from optimizer.night.state.chain import Link, broken_links, make_link, text_hash
from optimizer.night.state.database import EVIDENCE_NAME, open_state
from optimizer.night.state.links import read_links, read_mirror
from optimizer.replay.run import verify_run
from tests.support.small_night import DAY, Call, SmallNight, call, copy_night
from tests.support.system_tools import needs

NEXT = DAY + dt.timedelta(days=1)


def plain_root(leaves: list[bytes]) -> bytes:
    """The tree of RFC 9162, as its text has it: split at the largest power of two."""
    if len(leaves) == 1:
        return leaves[0]
    size = 1 << (len(leaves) - 1).bit_length() - 1
    both = plain_root(leaves[:size]) + plain_root(leaves[size:])
    return hashlib.sha256(b"\1" + both).digest()


def decisions_of(sizes: list[int]) -> pl.DataFrame:
    """Decisions of merchants with so many orders, with gaps in every column."""
    rng, num_rows = np.random.default_rng(sum(sizes)), sum(sizes)
    number = np.arange(num_rows)
    texts = pl.Series(["", "商家", "CAP_FULL", None, "x" * 300])
    columns = {
        name: texts.gather(rng.integers(0, 5, num_rows))
        if kind == pl.String
        else pl.Series(rng.integers(-(10**9), 10**9, num_rows) / 1e6)
        if kind == pl.Float64
        else pl.Series(rng.integers(0, 2, num_rows).astype(bool))
        for name, kind in DECISIONS.schema.items()
    }
    columns["order_id"] = pl.Series([f"{k:05d}" for k in number])
    columns["merchant_id"] = pl.Series(np.repeat([f"m{k}" for k in range(9)], 1))[
        np.repeat(np.arange(len(sizes)), sizes).astype(np.uint32)
    ]
    gaps = pl.Series(rng.random(num_rows) < 0.2)
    frame = pl.DataFrame(columns).with_columns(
        pl.when(gaps).then(None).otherwise(pl.col(name)).alias(name)
        for name in ("saving_cny", "has_room", "arm", "propensity")
    )
    return frame.select(DECISIONS.column_names)


def plain_leaf(rows: pl.DataFrame) -> bytes:
    """A merchant's leaf, from the words of the documentation."""

    def piece(part: pl.DataFrame) -> bytes:
        records, texts = b"", b""
        for row in part.drop("merchant_id").iter_rows(named=True):
            for name, value in row.items():
                kind = DECISIONS.schema[name]
                if kind == pl.Float64:
                    whole = -(1 << 63) if value is None else round(value * 1e6)
                    records += struct.pack(">q", whole)
                elif kind == pl.Boolean:
                    records += struct.pack(">B", 255 if value is None else value)
                else:
                    text = (value or "").encode()
                    size = 0xFFFFFFFF if value is None else len(text)
                    records += struct.pack(">I", size)
                    texts += text
        return hashlib.sha256(records + texts).digest()

    name = rows["merchant_id"][0].encode()
    head = struct.pack(">I", len(name)) + name + struct.pack(">Q", len(rows))
    size = merkle.ROWS_IN_PIECE
    pieces = [piece(rows[at : at + size]) for at in range(0, len(rows), size)]
    return hashlib.sha256(b"\0" + head + b"".join(pieces)).digest()


def documented_leaf() -> Callable[[str, list[dict]], str]:
    """The function that the documentation has, with smaller pieces."""
    text = Path("docs/night.md").read_text(encoding="utf-8")
    code = text.partition("```python\ndef leaf(")[2].partition("```")[0]
    assert code.count("65_536") == 2
    known: dict = {"sha256": hashlib.sha256}
    exec("def leaf(" + code.replace("65_536", "4"), known)
    return known["leaf"]


def test_a_merchant_may_come_in_whole_pieces_and_in_no_others(
    monkeypatch: pytest.MonkeyPatch,
):
    """Its leaf is that of all its rows; one that is parted elsewhere is refused."""
    monkeypatch.setattr(merkle, "ROWS_IN_PIECE", 4)
    frame = decisions_of([3, 11, 2])
    whole = merkle.leaves_of([frame]).close()
    for ends, is_parted_within in (([0, 7, 11, 16], False), ([0, 6, 16], True)):
        leaves = merkle.Leaves()
        for first, last in pairwise(ends):
            leaves.add(frame[first:last])
        if is_parted_within:
            with pytest.raises(ValueError, match="m1: parted within a piece"):
                leaves.close()
        else:
            assert leaves.close() == whole == merkle.merchant_leaves(frame)


@pytest.mark.parametrize("sizes", [[1], [3, 1], [5, 9, 2, 1, 7], [4] * 8])
def test_a_merchants_rows_prove_themselves_and_no_other_rows_do(
    sizes: list[int], monkeypatch: pytest.MonkeyPatch
):
    """
    A leaf is as the documentation says; the root is RFC 9162's over them, however the
    rows come in; each merchant's rows lead to it, and with one value changed do not.
    """
    monkeypatch.setattr(merkle, "ROWS_IN_PIECE", 4)
    frame = decisions_of(sizes)
    ends = np.cumsum([0, *sizes]).tolist()
    parts = [frame[a:b] for a, b in pairwise(ends)]
    leaves = [plain_leaf(part) for part in parts]
    told = documented_leaf()
    for part, leaf in zip(parts, leaves, strict=True):
        assert told(part["merchant_id"][0], part.to_dicts()) == leaf.hex()
    for width in (1, 3, 5, len(frame)):
        cut = [frame[at : at + width] for at in range(0, len(frame), width)]
        for waiting in (0, 1, 16):
            monkeypatch.setattr(merkle, "_WAITING_PIECES", waiting)
            assert merkle.leaves_of(cut).close() == leaves
    root = plain_root(leaves).hex()
    assert merkle.root_of(leaves).hex() == root
    columns = list(DECISIONS.column_names)
    for number, part in enumerate(parts):
        piece = (len(part) - 1) // 4
        leaf = {
            "merchant_id": f"m{number}",
            "num_rows": len(part),
            "rows": merkle.plain_rows(part[piece * 4 :]),
            "piece": piece,
            "piece_hashes": [found.hex() for found in merkle.piece_hashes(part)],
            "path": merkle.path_to(leaves, number),
        }
        assert merkle.proved_root(leaf, columns) == root
        for place in range(len(columns)):
            if columns[place] == "merchant_id":
                continue
            changed = json.loads(json.dumps(leaf))
            value = changed["rows"][0][place]
            other = {str: "other", bool: not value, int: 17, type(None): 0}[type(value)]
            if value is None and DECISIONS.schema[columns[place]] == pl.String:
                other = ""
            changed["rows"][0][place] = other
            assert merkle.proved_root(changed, columns) != root, columns[place]
        for changed in ({"merchant_id": "m"}, {"num_rows": len(part) + 1}):
            assert merkle.proved_root(leaf | changed, columns) != root


def make_chain(night: SmallNight) -> None:
    """Five links: two dates, a forced rerun, its rollback, and a withdrawal."""
    next_inputs = night.folder / "nights" / NEXT.isoformat()
    shutil.copytree(night.input("orders").parent, next_inputs)
    run_date(load_config(night.config), NEXT)
    policy = night.settings()["policy"]
    policy[0]["cap"]["rate"] = 0.06
    night.configure(policy=policy)
    night.run(is_forced=True)
    rollback(load_config(night.config), DAY)
    rollback(load_config(night.config), NEXT, is_withdrawn=True)


@pytest.fixture(scope="module")
def chained_once(
    published_once: SmallNight, tmp_path_factory: pytest.TempPathFactory
) -> SmallNight:
    """A chain that no test may change."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("chain") / "night"
        night = copy_night(published_once, folder, patch)
        make_chain(night)
    return night


@pytest.fixture
def on_sqlite(
    chained_once: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallNight:
    """A chain of one's own in SQLite."""
    return copy_night(chained_once, tmp_path / "night", monkeypatch)


@pytest.fixture
def on_postgres(
    on_sqlite: SmallNight, server, monkeypatch: pytest.MonkeyPatch
) -> SmallNight:
    """The same chain in PostgreSQL: restored there from the file and the folders."""
    from tests.support.postgres import PASSWORD

    monkeypatch.setenv("STATE_PASSWORD", PASSWORD)
    name = f"e{abs(hash(str(on_sqlite.folder))):x}"
    server.psql(f"CREATE DATABASE {name}")
    first = json.loads(on_sqlite.config.read_text())
    first["policy"][0]["cap"]["rate"] = 0.03
    on_sqlite.config.write_text(
        json.dumps(first | {"state": {"url": server.url(name)}})
    )
    assert on_sqlite.run().outcome == "unchanged"
    return on_sqlite


EITHER = ["on_sqlite", pytest.param("on_postgres", marks=needs("postgresql"))]


@pytest.fixture(params=EITHER)
def chained(request: pytest.FixtureRequest) -> SmallNight:
    """A chain in either."""
    return request.getfixturevalue(request.param)


def links_of(night: SmallNight) -> list[Link]:
    """The chain in the database."""
    with (
        open_state(load_config(night.config)) as state,
        state.transaction() as connection,
    ):
        return read_links(connection)


def execute(night: SmallNight, *statements: str) -> None:
    """Change the database as its owner can: the guard is taken off first."""
    with open_state(load_config(night.config)) as state:
        guards = [
            "DROP TRIGGER IF EXISTS evidence_keeps_update",
            "DROP TRIGGER IF EXISTS evidence_keeps_delete",
        ]
        if state.is_shared:
            guards = ["DROP TRIGGER IF EXISTS evidence_keeps ON evidence"]
        with state.transaction() as connection:
            for statement in (*guards, *statements):
                connection.execute(text(statement))


def run_audit(night: SmallNight, head: str | None = None) -> tuple[str, ...]:
    """What an audit finds."""
    return audit(load_config(night.config), head).findings


@pytest.mark.slow
def test_every_event_is_a_link_and_all_of_it_holds(chained: SmallNight):
    """Runs, forced rerun, rollback and withdrawal are links in order; audit agrees."""
    links = links_of(chained)
    events = [(k.body["event"], k.body["date"]) for k in links]
    assert events == [
        ("PUBLISHED", str(DAY)),
        ("PUBLISHED", str(NEXT)),
        ("REPLACED", str(DAY)),
        ("ROLLED_BACK", str(DAY)),
        ("WITHDRAWN", str(NEXT)),
    ]
    assert links == read_mirror(chained.runs / EVIDENCE_NAME)
    assert [k.number for k in links] == [1, 2, 3, 4, 5]
    assert run_audit(chained) == ()
    assert run_audit(chained, links[2].hash) == ()
    assert (
        links[0].body["version"] == links[3].body["version"] != links[2].body["version"]
    )


@pytest.mark.slow
def test_the_database_refuses_to_change_a_link(chained: SmallNight):
    """UPDATE and DELETE fail in the database itself."""
    with open_state(load_config(chained.config)) as state:
        for statement in ("UPDATE evidence SET body = ''", "DELETE FROM evidence"):
            with (
                pytest.raises(DBAPIError, match="only ever added to"),
                state.engine.begin() as connection,
            ):
                connection.execute(text(statement))


def old_version(night: SmallNight) -> Path:
    """The folder of the forced rerun, which is kept aside."""
    return night.runs / ".versions" / str(DAY) / links_of(night)[2].body["version"]


def edit_decision(night: SmallNight) -> None:
    """Another reason for one order, in a file that reads well."""
    path = night.run_dir / "decisions.parquet"
    table = pl.read_parquet(path)
    first = pl.int_range(pl.len()) == 0
    reason = pl.when(first).then(pl.lit("CHOSEN")).otherwise("reason")
    table.with_columns(reason=reason).write_parquet(path)


def edit_record(night: SmallNight) -> None:
    """Another number of slots in run.json."""
    path = night.run_dir / "run.json"
    path.write_text(path.read_text().replace('"num_chosen": ', '"num_chosen": 1'))


def edit_both(night: SmallNight) -> None:
    """A decision, and the record's checksum of it."""
    old = hashlib.sha256((night.run_dir / "decisions.parquet").read_bytes()).hexdigest()
    edit_decision(night)
    new = hashlib.sha256((night.run_dir / "decisions.parquet").read_bytes()).hexdigest()
    path = night.run_dir / "run.json"
    path.write_text(path.read_text().replace(old, new))


def edit_kept(night: SmallNight) -> None:
    """A version that is kept aside."""
    with (old_version(night) / "report.html").open("a") as file:
        file.write(" ")


def edit_leaves(night: SmallNight) -> None:
    """The hashes beside the decisions."""
    path = night.run_dir / "evidence.txt"
    path.write_text(path.read_text().replace("a", "b"))


def edit_link(night: SmallNight) -> None:
    """One word of a link."""
    execute(night, "UPDATE evidence SET body = replace(body, 'REPLACED', 'PUBLISHED')")


def edit_link_and_hash(night: SmallNight) -> None:
    """A link with its own hash, in database and file alike."""
    third = links_of(night)[2]
    said = third.text.replace("REPLACED", "PUBLISHED")
    execute(
        night,
        f"UPDATE evidence SET body = replace(body, 'REPLACED', 'PUBLISHED'), "
        f"hash = '{text_hash(said)}' WHERE number = 3",
    )
    write_mirror(night, links_of(night))


def write_mirror(night: SmallNight, links: list[Link]) -> None:
    """Write the chain's file anew."""
    lines = [
        json.dumps({"number": k.number, "hash": k.hash, "text": k.text}) for k in links
    ]
    (night.runs / EVIDENCE_NAME).write_text("".join(f"{line}\n" for line in lines))


def remove_link(night: SmallNight) -> None:
    """One from the middle, in both."""
    execute(night, "DELETE FROM evidence WHERE number = 3")
    write_mirror(night, links_of(night))


def renumber(night: SmallNight) -> None:
    """One from the middle, with the others moved up, in both."""
    execute(
        night,
        "DELETE FROM evidence WHERE number = 3",
        "UPDATE evidence SET number = 3 WHERE number = 4",
        "UPDATE evidence SET number = 4 WHERE number = 5",
    )
    write_mirror(night, links_of(night))


def remove_first(night: SmallNight) -> None:
    """The first, in both."""
    execute(night, "DELETE FROM evidence WHERE number = 1")
    write_mirror(night, links_of(night))


def cut_tail(night: SmallNight) -> None:
    """The last two from the database alone."""
    execute(night, "DELETE FROM evidence WHERE number > 3")


def cut_file(night: SmallNight) -> None:
    """The last two from the file alone."""
    write_mirror(night, links_of(night)[:3])


def cut_both(night: SmallNight) -> None:
    """The last two from both: what is published is not what the rest says."""
    execute(night, "DELETE FROM evidence WHERE number > 3")
    write_mirror(night, links_of(night))


def republish(night: SmallNight) -> None:
    """Somebody points the link at the version that was rolled back."""
    night.run_dir.unlink()
    night.run_dir.symlink_to(Path(".versions") / str(DAY) / old_version(night).name)


EDITS: list[tuple[Callable[[SmallNight], None], str]] = [
    (edit_decision, "decisions.parquet was changed after link 4"),
    (edit_record, "run.json was changed after link 4"),
    (edit_both, "decisions.parquet was changed after link 4"),
    (edit_kept, "report.html was changed after link 3"),
    (edit_leaves, "evidence.txt is not what link 4 stands for"),
    (edit_link, "link 3 was changed after it was written"),
    (edit_link_and_hash, "link 4 does not follow from the one before it"),
    (remove_link, "link 3 was removed"),
    (renumber, "link 3 does not follow from the one before it"),
    (remove_first, "link 1 was removed"),
    (cut_tail, "the database lacks the last 2 of the links"),
    (cut_file, "the file lacks the last 2 of the links"),
    (cut_both, "is published, and the chain says"),
    (republish, "is published, and the chain says"),
]


@pytest.mark.parametrize(
    ("edit", "words"), EDITS, ids=lambda e: getattr(e, "__name__", "")
)
def test_an_audit_finds_every_edit(
    chained: SmallNight, edit: Callable[[SmallNight], None], words: str
):
    """Whatever was changed behind the program's back is named."""
    edit(chained)
    findings = run_audit(chained)
    assert any(words in found for found in findings), findings


def test_a_link_of_a_later_format_is_told_as_such() -> None:
    """Links name their format; those of before have none, and are of the first."""
    first = make_link({}, None)
    assert first.body["format"] == 1
    later = make_link({"format": 2}, first)
    assert broken_links([first, later]) == [
        "link 2 is of format 2, and known is 1; use the version of optimizer that "
        "wrote it"
    ]


def test_a_chain_made_anew_is_found_by_what_a_night_noted(chained: SmallNight):
    """A link exchanged and all later ones made to fit: a later record names the old."""
    old = links_of(chained)[4]
    run_date(load_config(chained.config), NEXT)
    noted = json.loads((chained.runs / str(NEXT) / "run.json").read_text())
    head = {"number": 5, "hash": old.hash}
    assert noted["run_measurements"]["evidence_head"] == head
    assert run_audit(chained) == ()
    links = links_of(chained)
    other = make_link(old.body | {"recorded_at_utc": "2020-01-01"}, links[3])
    forged = [*links[:4], other, make_link(links[5].body, other)]
    execute(
        chained,
        "DELETE FROM evidence WHERE number > 4",
        *(
            f"INSERT INTO evidence VALUES ({k.number}, '{k.hash}', '{k.text}')".replace(
                ":", r"\:"
            )
            for k in forged[4:]
        ),
    )
    write_mirror(chained, forged)
    assert links_of(chained) == forged
    (finding,) = run_audit(chained)
    assert "run.json names link 5" in finding


def test_a_night_gone_without_a_trace_is_found_by_a_head_kept_elsewhere(
    published: SmallNight,
):
    """Link, folder and version of the last night removed: only its head tells."""
    inputs = published.input("orders").parent
    shutil.copytree(inputs, inputs.with_name(NEXT.isoformat()))
    head = run_date(load_config(published.config), NEXT).head
    assert head == {"number": 2, "hash": links_of(published)[1].hash}
    (published.runs / str(NEXT)).unlink()
    shutil.rmtree(published.runs / ".versions" / str(NEXT))
    execute(published, "DELETE FROM evidence WHERE number > 1")
    write_mirror(published, links_of(published))
    assert run_audit(published) == ()
    (finding,) = run_audit(published, head["hash"])
    assert "is not in the chain" in finding


@pytest.mark.slow
def test_what_a_crash_left_is_made_good_from_the_other_side(chained: SmallNight):
    """Links that only the file or only the database has: the next run adds them."""
    links = links_of(chained)
    first = json.loads(chained.config.read_text())
    first["policy"][0]["cap"]["rate"] = 0.03
    chained.config.write_text(json.dumps(first))
    mirror = chained.runs / EVIDENCE_NAME
    with mirror.open("a") as file:
        file.write('{"number": 6, "hash": "to')
    assert run_audit(chained) == ()
    for cut in (cut_tail, cut_file):
        cut(chained)
        assert run_audit(chained) != ()
        run_date(load_config(chained.config), NEXT, is_forced=True)
        assert [k.hash for k in links_of(chained)][:5] == [k.hash for k in links]
        assert run_audit(chained) == ()
        rollback(load_config(chained.config), NEXT, is_withdrawn=True)
        links = links_of(chained)[:5]


@pytest.fixture
def cli(
    on_sqlite: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Call]:
    """Call the command line with the chain's configuration."""
    return lambda *words: call(
        monkeypatch, capsys, words[0], "--config", on_sqlite.config, *words[1:]
    )


def test_an_orders_evidence_proves_itself(on_sqlite: SmallNight, cli):
    """
    Orders of every reason: decision, rule, inputs, history are there for people; what
    is printed as JSON proves it with hashes alone, and shows no other merchant.
    """
    table = pl.read_parquet(on_sqlite.run_dir / "decisions.parquet")
    for order in table.group_by("reason").first().iter_rows(named=True):
        words = cli("evidence", order["order_id"])
        assert words.code == 0
        assert f"reason   {order['reason']}" in words.out
        assert "PUBLISHED" in words.out
        assert "ROLLED_BACK" in words.out
        assert "all of it was computed again" in words.out
        printed = cli("evidence", order["order_id"], "--date", DAY, "--json").out
        found = json.loads(printed)
        assert check_evidence(found) == []
        is_own = pl.col("merchant_id") == order["merchant_id"]
        others = table.filter(~is_own)
        named = {*others["order_id"], *others["merchant_id"]}
        assert not any(f'"{other}"' in printed for other in named)
        own = table.filter(is_own)["order_id"].to_list()
        assert [row[0] for row in found["proof"]["leaf"]["rows"]] == own
        assert found["decision"] == order
        files = [f["sha256"] for f in found["inputs"]["orders"]]
        given = hashlib.sha256(on_sqlite.input("orders").read_bytes()).hexdigest()
        assert files == [given]


def forge_root(night: SmallNight) -> None:
    """Another root in the record."""
    path = night.run_dir / "run.json"
    record = json.loads(path.read_text())
    record["evidence"]["root"] = "0" * 64
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (edit_leaves, "evidence.txt is not of these decisions"),
        (forge_root, "evidence.root is"),
        (
            lambda night: (night.run_dir / "evidence.txt").unlink(),
            "evidence.txt is not",
        ),
    ],
)
def test_verify_proves_the_hashes_of_decisions_again(
    published: SmallNight, edit: Callable[[SmallNight], None], words: str
):
    """The root in the record and the leaves beside it are those of the decisions."""
    assert verify_run(published.run_dir).is_valid
    edit(published)
    (finding,) = verify_run(published.run_dir).findings
    assert finding.startswith(words)


@pytest.fixture(scope="module")
def printed(chained_once: SmallNight, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Evidence of one order, with several links after its night's."""
    from optimizer.evidence.order_evidence import find_evidence

    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("appeal") / "night"
        night = copy_night(chained_once, folder, patch)
        config = load_config(night.config)
        run_date(config, NEXT)
        table = pl.read_parquet(night.run_dir / "decisions.parquet")
        found = find_evidence(config, table["order_id"][77], DAY)
    assert len(found["proof"]["chain"]) == 3
    return json.dumps(found)


CHANGES: list[Callable[[dict, dict, dict], object]] = [
    lambda found, proof, leaf: leaf["rows"][0].__setitem__(4, 1_000_000),
    lambda found, proof, leaf: leaf["rows"][-1].__setitem__(1, "another"),
    lambda found, proof, leaf: leaf["rows"].reverse(),
    lambda found, proof, leaf: leaf["rows"].pop(),
    lambda found, proof, leaf: found["decision"].update(reason="CHOSEN_"),
    lambda found, proof, leaf: found["decision"].update(saving_cny=17.0),
    lambda found, proof, leaf: found.update(order_id="another"),
    lambda found, proof, leaf: leaf.update(position=leaf["position"] ^ 1),
    lambda found, proof, leaf: leaf.update(position=1 << 40),
    lambda found, proof, leaf: leaf.update(piece=1),
    lambda found, proof, leaf: leaf["path"].pop(),
    lambda found, proof, leaf: leaf.update(merchant_id="another"),
    lambda found, proof, leaf: leaf.update(num_rows=leaf["num_rows"] + 1),
    lambda found, proof, leaf: proof["chain"].pop(),
    lambda found, proof, leaf: proof["chain"].pop(1),
    lambda found, proof, leaf: proof["head"].update(hash="0" * 64),
    lambda found, proof, leaf: proof["chain"][-1].update(text="{}"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_evidence_that_was_changed_does_not_hold(
    printed: str, change: Callable[[dict, dict, dict], object]
):
    """Any part of what was printed, changed: the check says so."""
    found = json.loads(printed)
    assert check_evidence(found) == []
    change(found, found["proof"], found["proof"]["leaf"])
    assert check_evidence(found) != []


def test_leaves_that_are_damaged_are_told(on_sqlite: SmallNight, cli):
    """Bytes that are no text, or no hashes: the file is named, nothing is thrown."""
    (order, *_) = pl.read_parquet(on_sqlite.run_dir / "decisions.parquet")["order_id"]
    path = on_sqlite.run_dir / "evidence.txt"
    whole = path.read_bytes()
    for damaged in (b"\xff" + whole[1:], b"g" + whole[1:]):
        path.unlink()
        path.write_bytes(damaged)
        told = cli("evidence", order, "--date", DAY)
        assert told.code == 3
        assert "evidence.txt: is damaged" in told.err
    path.unlink()
    path.write_bytes(whole)


def test_evidence_is_found_in_any_row_group(
    inputs_only: SmallNight, monkeypatch: pytest.MonkeyPatch
):
    """With row groups of 256 rows: the first, the last and those around their ends."""
    from optimizer.evidence.order_evidence import find_evidence
    from optimizer.io import write

    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 256)
    inputs_only.run()
    config = load_config(inputs_only.config)
    table = pl.read_parquet(inputs_only.run_dir / "decisions.parquet")
    for place in (0, 127, 128, 255, 256, 1_000, len(table) - 1):
        found = find_evidence(config, table["order_id"][place])
        assert found["findings"] == []
        assert found["decision"] == table.row(place, named=True)
    for unknown in ("", "~"):
        with pytest.raises(DataError, match="not in any published night"):
            find_evidence(config, unknown)


def test_exit_codes_tell_what_an_audit_found(on_sqlite: SmallNight, cli):
    """0 holds; 4 does not; 3 no such order; 2 no such night."""
    good = json.loads(cli("audit", "--json").out)
    assert (good["is_valid"], good["num_links"], good["num_versions"]) == (True, 5, 3)
    assert f"head 5: {good['head']['hash']}" in cli("audit").out
    assert cli("audit", "--head", good["head"]["hash"]).code == 0
    assert cli("audit", "--head", "0" * 64).code == 4
    assert cli("evidence", "nobody").code == 3
    assert cli("evidence", "nobody", "--date", NEXT).code == 2
    shutil.rmtree(old_version(on_sqlite))
    assert "1 replaced one removed since" in cli("audit").out
    order = pl.read_parquet(on_sqlite.run_dir / "decisions.parquet")["order_id"][0]
    edit_decision(on_sqlite)
    bad = cli("evidence", order)
    assert (bad.code, "DOES NOT HOLD" in bad.out) == (4, True)
    audited = cli("audit")
    assert (audited.code, "finding: " in audited.out) == (4, True)
