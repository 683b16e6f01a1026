"""What README and the pages of the documentation show is what happens."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer.contracts.markdown import tables_markdown
from tests.support.tracked import project_files

ROOT = Path(__file__).parents[1]
#: In the order in which one reads them; their blocks run one after the other.
PAGES = (
    "README.md",
    "docs/tutorial/first-night.md",
    "docs/tutorial/first-week.md",
    "docs/tutorial/from-python.md",
    "docs/how-to/run-every-night.md",
    "docs/how-to/nights-that-depend.md",
    "docs/how-to/answer-an-appeal.md",
    "docs/how-to/operate.md",
    "docs/how-to/ask-questions.md",
    "docs/how-to/configure.md",
    "docs/how-to/install.md",
    "docs/how-to/cron-and-systemd.md",
    "docs/how-to/kubernetes.md",
    "docs/how-to/airflow.md",
    "docs/how-to/object-stores.md",
    "docs/how-to/databases.md",
    "docs/how-to/lakehouse.md",
    "docs/how-to/send-to-platforms.md",
    "docs/how-to/holdout.md",
    "docs/how-to/spark.md",
    "docs/how-to/measure-the-effect.md",
    "docs/how-to/read-the-report.md",
    "docs/how-to/desk.md",
    "docs/how-to/repair-a-night.md",
    "docs/how-to/upgrade.md",
    "docs/reference/glossary.md",
    "docs/explanation/model.md",
    "docs/explanation/solver.md",
    "docs/explanation/second-statement.md",
    "docs/explanation/carry-over.md",
    "docs/explanation/chain-of-evidence.md",
    "docs/explanation/learning.md",
    "docs/explanation/side-constraints.md",
    "docs/explanation/how-good-how-fast.md",
    "docs/reference/run-folder.md",
    "docs/reference/not-claimed.md",
    "docs/reference/tables.md",
    "docs/reference/engines.md",
)
TEXTS = {page: (ROOT / page).read_text("utf-8") for page in PAGES}
#: Its commands run in test_first_week.py, on exports of its own.
ELSEWHERE = "docs/tutorial/first-week.md"
README = "\n".join(text for page, text in TEXTS.items() if page != ELSEWHERE)
#: Longest README: one looks at it once, and goes on from there.
MOST_LINES = 120
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    """Fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the configurations, as a user's checkout has them."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "configs", folder / "configs")
    return folder


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_the_console_blocks_do_what_they_show(workplace: Path) -> None:
    """Every ``$ optimizer`` line succeeds, and prints what stands there."""
    commands = 0
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            line, _, shown = part.partition("\n")
            if not line.startswith("optimizer"):
                continue
            done = run([str(BIN / "optimizer"), *shlex.split(line)[1:]], workplace)
            assert done.returncode == 0, (line, done.stderr)
            for expected in filter(str.strip, shown.splitlines()):
                assert expected.strip() in done.stdout, (line, done.stdout)
            commands += 1
    assert commands >= 5


@pytest.mark.slow
def test_the_python_blocks_run(workplace: Path) -> None:
    """
    All Python of README and pages, one block after the other, on the simulated day.

    Its night is published and its outcomes are revealed; the day before is that night
    under another name. What the tutorial says that they print is printed.
    """
    config = ("--config", "configs/nightly.yaml", "--date", "2026-11-22")
    steps = {
        "data": ("simulate", "--out", "data", "--orders", "20000", "--seed", "7"),
        "runs": ("run", *config),
        "outcomes": (
            *("simulate", "outcomes", "--runs", "runs"),
            *("--nights", "data/nights", "--out", "outcomes"),
        ),
    }
    for made, words in steps.items():
        if not (workplace / made).exists():
            run([str(BIN / "optimizer"), *words], workplace).check_returncode()
    before = workplace / "runs" / "2026-11-21"
    before.symlink_to("2026-11-22")
    code = "\n".join(blocks("python"))
    assert "allocate" in code
    done = run([sys.executable, "-c", code], workplace)
    before.unlink()
    assert done.returncode == 0, done.stderr
    tutorial = TEXTS["docs/tutorial/from-python.md"]
    shown = re.findall(r"^```text\n(.*?)^```", tutorial, re.M | re.S)
    assert len(shown) == 3
    assert all(text in done.stdout for text in shown)


def test_the_yaml_block_is_a_valid_configuration() -> None:
    """The configuration that is shown is accepted as it stands."""
    from optimizer.config import as_config
    from optimizer.config.yaml_reader import read_yaml

    (block,) = blocks("yaml")
    data, _ = read_yaml(block, "README")
    assert as_config(data).version == 1


def test_the_column_tables_are_those_of_the_contract() -> None:
    """Between the markers stands what the code says, word for word."""
    shown = README.split("<!-- tables -->")[1].split("<!-- /tables -->")[0]
    assert shown.strip() == tables_markdown().strip()


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    """No relative link is dead."""
    for target in re.findall(r"\]\(((?!http)[^)#\s]+)\)", TEXTS[page]):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_the_readme_is_short() -> None:
    """What is longer has a page of its own."""
    assert TEXTS["README.md"].count("\n") <= MOST_LINES


def test_every_page_is_read_here() -> None:
    """A new page of tutorial, how-to, explanation or reference is among those above."""
    rooms = ("tutorial", "how-to", "explanation", "reference")
    tracked = {
        name for name in project_files("docs/*.md") if name.split("/")[1] in rooms
    }
    assert tracked == set(PAGES) - {"README.md"}
