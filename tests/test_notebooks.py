"""The example notebooks run as they stand, and what they say is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

ROOT = Path(__file__).parents[1]
BOOKS = {path.stem: path for path in sorted((ROOT / "docs/notebooks").glob("*.ipynb"))}
PLOTLY = "application/vnd.plotly.v1+json"

#: What each notebook claims in words, asked of its own variables when it has run.
CLAIMS = {
    "first_night": """
assert night.certificate.is_feasible and night.certificate.gap == 0
assert sum(night.summary["reasons"].values()) == night.orders.height
chosen_by = night.orders.filter("is_premium")["margin_cny"]
assert chosen_by.min() >= 0
assert night.orders.to_pandas().shape == night.orders.shape
""",
    "what_if": """
saving = dict(tried.scenarios.select("name", "saving_cny").iter_rows())
tonight = saving.pop("tonight")
dearer = saving.pop("dearer complaints")
assert dearer > tonight
more = [name for name in saving if "0.05" in name]
assert len(more) == 1 and saving.pop(more[0]) >= tonight
assert len(saving) == 3 and max(saving.values()) <= tonight
assert {"1 point of cap", "1 CNY less fee"} <= set(prices.steps["step"])
assert doubt.draws["regret_cny"].drop_nulls().len() == 2
""",
    "measuring_the_effect": """
arms = decisions.drop_nulls("arm")["arm"].unique().sort().to_list()
assert arms == ["explore", "policy"]
assert outcomes["date"].n_unique() == NUM_NIGHTS
assert set(pooled["method"]) == {"difference", "adjusted", "ipw", "doubly_robust"}
assert realised["low_cny"] <= realised["realised_cny"] <= realised["high_cny"]
returns = best.filter(pl.col("outcome") == "logistics_return")
assert returns["low"].item() > 0
shares = decisions.filter(pl.col("arm") == "policy")["propensity"].unique().to_list()
assert shares == [1 - config["holdout"]["share"]]
assert (folder / "models" / learned.model.version).is_dir()
""",
}


@pytest.fixture
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's is read or written; a kernel finds the sources."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")


def executed(path: Path, folder: Path, claims: str) -> list[Any]:
    """Cells of a notebook that ran in a kernel of its own, its claims at the end."""
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(path, as_version=4)
    book.cells.append(nbformat.v4.new_code_cell(claims))
    client = NotebookClient(
        book,
        timeout=120,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": folder}},
    )
    return client.execute().cells


def test_every_notebook_has_its_claims() -> None:
    """None is left out."""
    assert BOOKS.keys() == CLAIMS.keys()


@pytest.mark.parametrize("name", BOOKS)
def test_notebooks_are_kept_without_outputs(name: str) -> None:
    """Valid, and with nothing that a run left: figures of another time are none."""
    import nbformat

    book = nbformat.read(BOOKS[name], as_version=4)
    nbformat.validate(book)
    for cell in book.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert BOOKS[name].stat().st_size < 16_000


@pytest.mark.slow
@pytest.mark.usefixtures("no_home")
@pytest.mark.parametrize("name", BOOKS)
def test_notebooks_run_and_are_true(name: str, tmp_path: Path) -> None:
    """Every cell runs, the text's claims hold, and no output is long or a warning."""
    cells = executed(BOOKS[name], tmp_path, CLAIMS[name])
    outputs = [
        output for cell in cells if cell.cell_type == "code" for output in cell.outputs
    ]
    for output in outputs:
        if output.output_type == "stream":
            assert output.name == "stdout", output.text
            assert len(output.text) < 2_000
        if output.output_type in ("execute_result", "display_data"):
            assert len(output.data.get("text/plain", "")) < 3_000
    charts = [output for output in outputs if PLOTLY in output.get("data", {})]
    errors = [output for output in outputs if output.output_type == "error"]
    assert len(charts) == (3 if name == "first_night" else 0)
    assert len(errors) == (1 if name == "first_night" else 0)
    for error in errors:
        sentence, *rest = error.traceback
        assert sentence.startswith("ConfigError: ")
        assert "complaint_costs_cny" in sentence
        assert len(rest) == 2


@pytest.fixture
def shell(no_home: None) -> InteractiveShell:
    """A shell as IPython has it, without a history."""
    config = Config()
    config.HistoryManager.enabled = False
    return InteractiveShell(config=config, colors="nocolor")


def test_an_error_is_a_sentence_in_ipython(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its class, what to do, and the line of the cell; no call inside the package."""
    cell = "import optimizer\n\noptimizer.prices()\n"
    found = shell.run_cell(cell)
    assert isinstance(found.error_in_exec, Exception)
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "ConfigError: give the folder of a run, or --config and --date "
        "(config= and date=)",
        "  line 3: optimizer.prices()",
        "  (import traceback; traceback.print_last() shows every call)",
    ]


def test_every_call_can_still_be_seen(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the short form says; and errors of others are shown as ever."""
    shell.run_cell("import optimizer; optimizer.prices()")
    capsys.readouterr()
    shell.run_cell("import traceback; traceback.print_last()")
    assert "questions.py" in capsys.readouterr().err
    shell.run_cell("1 / 0")
    assert "Traceback" in capsys.readouterr().out
