"""
Questions about nights: what if, at what value, why, and what premium really did.

The commands of these names call these functions. A night is named in one way: by the
folder of a published run, or by a configuration and a date, which is then read and
solved and not published. ``explain_run``, ``report_run`` and ``learn_model`` have a
second word in their name because the first one alone is that of a package.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.errors import ConfigError
from optimizer.views import shown

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from os import PathLike

    from optimizer.compare.runs import Comparison
    from optimizer.config import Config
    from optimizer.config.scenarios import ScenarioFile
    from optimizer.explain.plots import Plots
    from optimizer.learn.evaluation import Evaluation
    from optimizer.learn.learned import Learned
    from optimizer.report.checked import Checked
    from optimizer.report.page import Page
    from optimizer.whatif.base import Base
    from optimizer.whatif.price_list import PriceList
    from optimizer.whatif.robustness import Robustness
    from optimizer.whatif.scenario_tables import Scenarios

    #: A configuration, or where it is.
    Settings = Config | Mapping[str, Any] | str | PathLike[str]
    Day = dt.date | str
    Tell = Callable[[str], None] | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    Why something was decided.

    Attributes
    ----------
    sentence
        For people; ``str`` gives it.
    values
        What it rests on, ready for JSON, the sentence included.
    """

    sentence: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        return shown(self.sentence, 1_000)


def validate(
    config: Settings,
    *,
    date: Day,
    is_forced: bool = False,
    progress: Tell = None,
) -> Checked:
    """
    Check a date as a run would, up to the solve; nothing is solved, nothing written.

    Parameters
    ----------
    config
        With ``inputs`` and ``output``. ``optimizer.load_config`` checks the
        configuration alone.
    date
        The date whose inputs are read.
    is_forced
        Check as for a run that replaces a night published from other inputs.
    progress
        Called with the name of each stage.

    Raises
    ------
    ConfigError, DataError, SolveError, BusyError
        As a run before it solves.

    Examples
    --------
    >>> import optimizer
    >>> from optimizer.testing import example_run
    >>> from optimizer.contracts.run_folder import read_record
    >>> config = read_record(example_run())["config"]
    >>> found = optimizer.validate(config, date="2026-11-22")
    >>> found.values["num_rows"]["orders"]
    1000
    """
    from optimizer.config import as_config
    from optimizer.config.business_date import as_business_date
    from optimizer.job import check_date
    from optimizer.report.checked import Checked as Found

    settings = as_config(config)
    day = as_business_date(date, settings.timezone)
    found = check_date(settings, day, is_forced=is_forced, progress=progress)
    return Found(day, found)


def prices(
    run: Path | str | None = None,
    *,
    config: Settings | None = None,
    date: Day | None = None,
    top: int = 5,
    progress: Tell = None,
) -> PriceList:
    """
    List what more of each limit is worth: slots, caps, and a lower fee.

    Parameters
    ----------
    run
        The folder of a published night.
    config, date
        Instead of it: a configuration with ``inputs``, and the date to solve.
    top
        Larger steps are solved for so many carriers, regions, outlets and merchants.
    progress
        Called with the name of each step as it starts.

    Raises
    ------
    ConfigError
        When neither a folder alone, nor configuration and date, are given; or
        ``top`` is below 0.
    DataError
        When the folder is not a run, or its inputs are not there or were changed.
    SolveError
        When the night's prices are not the value of one more slot.

    Examples
    --------
    >>> import optimizer
    >>> from optimizer.testing import example_run
    >>> found = optimizer.prices(example_run(), top=0)
    >>> found.steps["step"].to_list()
    ['1 point of cap', '1 CNY less fee']
    """
    from optimizer.whatif.price_list import price_list

    _require_range("top", top, 0, None)
    base = _base(run, config, date, progress)
    return price_list(base, top=top, progress=progress)


def scenarios(
    asked: ScenarioFile | Mapping[str, Any] | str | PathLike[str],
    *,
    run: Path | str | None = None,
    config: Settings | None = None,
    date: Day | None = None,
    progress: Tell = None,
) -> Scenarios:
    """
    Solve a night under other rules, and put the answers side by side.

    Parameters
    ----------
    asked
        What to try: a mapping with ``scenarios``, ``sweep``, ``pareto_points`` and
        ``harm_borne``, or a path to YAML.
    run, config, date
        The night, as for :func:`prices`.
    progress
        Called with the name of each scenario as it starts.

    Raises
    ------
    ConfigError
        When what is asked is wrong, or no night is named.
    DataError, SolveError
        As :func:`prices`; or an input is refused under a scenario's rules.

    Examples
    --------
    >>> import optimizer
    >>> from optimizer.testing import example_run
    >>> asked = {"scenarios": [{"name": "half the cap", "cap_rate": 0.015}]}
    >>> found = optimizer.scenarios(asked, run=example_run())
    >>> found.scenarios["name"].to_list()
    ['tonight', 'half the cap']
    """
    from optimizer.config.scenarios import as_scenarios
    from optimizer.whatif.scenario_tables import Scenarios as Tables
    from optimizer.whatif.scenario_tables import front_table, scenario_table, view_table
    from optimizer.whatif.scenarios import pareto_front, run_scenarios

    wanted = as_scenarios(asked)
    base = _base(run, config, date, progress)
    outcomes = run_scenarios(base, wanted.all_scenarios(), progress)
    front = pareto_front(base, wanted.pareto_points, progress)
    return Tables(
        base.day,
        scenario_table(outcomes),
        front_table(front, base.night.policy),
        view_table(outcomes, wanted.harm_borne),
        base.basis,
    )


def robustness(  # noqa: PLR0913 - the public surface: a number each, by name
    run: Path | str | None = None,
    *,
    config: Settings | None = None,
    date: Day | None = None,
    relative_error: float | None = None,
    shared: float = 0.5,
    num_draws: int = 100,
    num_hindsight: int = 5,
    seed: int = 7,
    progress: Tell = None,
) -> Robustness:
    """
    Value the plan, and simpler plans, under errors of the probabilities.

    Parameters
    ----------
    run, config, date
        The night, as for :func:`prices`.
    relative_error
        Standard error of the harm avoided, as a share of it; ``None``:
        ``objective.relative_error`` of the configuration.
    shared
        Share of its variance that all parcels of a carrier have in common.
    num_draws
        Draws that plans are valued on.
    num_hindsight
        Of these, how many are solved anew for the regret.
    seed
        Same seed, same draws.
    progress
        Called at each step.

    Raises
    ------
    ConfigError
        When no error is stated, a number is out of range, or no night is named.
    DataError
        As :func:`prices`.
    SolveError
        When the night has loads, floors, pins or side rows.

    Examples
    --------
    >>> import optimizer
    >>> from optimizer.testing import example_run
    >>> found = optimizer.robustness(
    ...     example_run(), relative_error=0.3, num_draws=2, num_hindsight=0
    ... )
    >>> found.plans["plan"].to_list()
    ['optimum', 'greedy', 'random', 'highest risk']
    """
    from optimizer.whatif.robustness import Doubt
    from optimizer.whatif.robustness import robustness as try_draws

    for name, value, low, high in (
        ("relative_error", relative_error or 0, 0, 10),
        ("shared", shared, 0, 1),
        ("num_draws", num_draws, 1, 100_000),
        ("num_hindsight", num_hindsight, 0, None),
        ("seed", seed, 0, None),
    ):
        _require_range(name, value, low, high)
    base = _base(run, config, date, progress)
    stated = float(base.config.objective.relative_error)
    error = stated if relative_error is None else relative_error
    if error == 0:
        raise ConfigError(
            "say how wrong the estimates may be: --relative-error 0.3 "
            "(relative_error=0.3), or objective.relative_error"
        )
    doubt = Doubt(error, shared, num_draws, num_hindsight, seed)
    return try_draws(base, doubt, progress)


def diff(before: Path | str, after: Path | str) -> Comparison:
    """
    Compare two published nights: rules, decisions, prices, and why they changed.

    Raises
    ------
    DataError
        When a folder is not a run, or damaged.

    Examples
    --------
    >>> import optimizer
    >>> from optimizer.testing import example_run
    >>> optimizer.diff(example_run(), example_run()).orders.height
    0
    """
    from optimizer.compare.runs import compare_runs

    return compare_runs(Path(before), Path(after))


def explain_run(
    run: Path | str,
    *,
    order_id: str | None = None,
    merchant_id: str | None = None,
    lane: str | None = None,
    language: str = "en",
) -> Explanation:
    """
    Explain an order, a merchant, a lane, or a whole published night.

    Parameters
    ----------
    run
        The folder of a published night; of a cluster's, its address.
    order_id, merchant_id
        What to explain; none of them, and no lane: the night.
    lane
        ``carrier``, ``carrier/region`` or ``carrier/region/outlet``.
    language
        ``"en"`` or ``"zh"``.

    Raises
    ------
    ConfigError
        When more than one thing is asked for, the language is unknown, or something
        else than an order is asked of a cluster's night.
    DataError
        When the folder is not a run, or does not have what is asked for.

    Examples
    --------
    >>> import optimizer
    >>> from optimizer.testing import example_run
    >>> print(str(optimizer.explain_run(example_run()))[:16])
    the night avoids
    """
    from optimizer.config.address import is_address
    from optimizer.contracts.run_folder import RECORD
    from optimizer.explain.parts import explain_lane, explain_merchant, explain_night
    from optimizer.explain.sentences import explain_run as explain_one

    if language not in ("en", "zh"):
        raise ConfigError(f"language must be en or zh, got {language!r}")
    if sum(name is not None for name in (order_id, merchant_id, lane)) > 1:
        raise ConfigError("explain one thing: an order, a merchant or a lane")
    folder = Path(run)
    if is_address(str(run)) or (folder / RECORD).is_dir():
        if order_id is None:
            raise ConfigError(
                "nights of a cluster explain their orders alone: name one"
            )
        from optimizer.spark.explain import explain_published
        from optimizer.spark.run import start_session

        found = explain_published(start_session(), str(run), order_id, language)
    elif order_id is not None:
        found = explain_one(folder, order_id, language)
    elif merchant_id is not None:
        found = explain_merchant(folder, merchant_id, language)
    elif lane is not None:
        found = explain_lane(folder, lane, language)
    else:
        found = explain_night(folder, language)
    return Explanation(found["sentence"], found)


def plot_run(run: Path | str) -> Plots:
    """
    Draw a published night: the charts that ``Night.plot`` has.

    Parameters
    ----------
    run
        The folder of a published night.

    Raises
    ------
    ConfigError
        When a chart is drawn and plotly is not installed: extra ``plots``.
    DataError
        When the folder is not a run, or damaged.

    Examples
    --------
    >>> import optimizer
    >>> from optimizer.testing import example_run
    >>> figure = optimizer.plot_run(example_run()).lanes()
    >>> figure.layout.title.text
    'Slots of carriers by region: the night of 2026-11-22'
    """
    import datetime as dt

    from optimizer.contracts.run_folder import pinned, read_record
    from optimizer.contracts.tables import DECISIONS, LANE_RESULTS
    from optimizer.explain.plots import Plots
    from optimizer.io.published_tables import read_table, scan_table

    folder = pinned(run)
    date = dt.date.fromisoformat(read_record(folder)["date"])
    lanes = read_table(folder, LANE_RESULTS.file)
    return Plots(scan_table(folder, DECISIONS.file), lanes, date)


def report_run(run: Path | str) -> Page:
    """
    Show the report of a published night in a notebook, or save it elsewhere.

    Parameters
    ----------
    run
        The folder of a published night.

    Raises
    ------
    DataError
        When the folder is not a run, or its report is not there or no text.

    Examples
    --------
    >>> import optimizer
    >>> from optimizer.testing import example_run
    >>> "22 November 2026" in optimizer.report_run(example_run()).html
    True
    """
    from optimizer.contracts.run_folder import REPORT, pinned, read_record
    from optimizer.errors import DataError
    from optimizer.report.page import Page

    file = pinned(run) / REPORT
    read_record(file.parent)
    try:
        return Page(file.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: is not there, or no text ({error})") from None


def learn_model(
    history: Any = None,
    *,
    config: Settings,
    first: Day | None = None,
    last: Day | None = None,
    as_of: Day | None = None,
    runs: Path | str | None = None,
) -> Learned:
    """
    Learn risk, effect and promise-keeping from past outcomes, with a model card.

    Nothing is written; ``Learned.save`` does so.

    Parameters
    ----------
    history
        Outcomes: a path, a glob, an address or a table, or a list of them; ``None``:
        ``learning.history``. Where there is none at all, the risks and the effect that
        ``learning.prior`` states.
    config
        A :class:`~optimizer.config.Config`, a mapping, or a path to YAML.
    first, last
        Dates to take, both included; ``None``: all, or those of ``learning.days``.
    as_of
        Day of learning, of which nothing is known yet; ``None``: today.
    runs
        Folder of published nights: what they decided is joined to the outcomes of
        their dates, by ``order_id``; ``None``: the outcomes have it.

    Raises
    ------
    ConfigError
        When configuration or dates are wrong, or scikit-learn is not installed.
    DataError
        When the history cannot teach.

    Examples
    --------
    >>> import optimizer
    >>> from optimizer.testing import make_config
    >>> prior = {"effect": 0.3, "complaint_prob": 0.04, "return_prob": 0.06}
    >>> learned = optimizer.learn_model(config=make_config(learning={"prior": prior}))
    >>> learned.model.kind
    'prior'
    """
    from optimizer.config import as_config
    from optimizer.learn.fit import history_of, learn
    from optimizer.learn.stated import is_stated, stated_model
    from optimizer.learn.window import learning_window

    settings = as_config(config)
    days = settings.learning.days
    window = learning_window(settings, first, last, as_of, runs, days)
    if history is None and settings.learning.history is None and is_stated(settings):
        return stated_model(settings)
    return learn(history_of(settings, history, window), settings, window)


def evaluate(
    history: Any = None,
    *,
    config: Settings,
    first: Day | None = None,
    last: Day | None = None,
    as_of: Day | None = None,
    runs: Path | str | None = None,
) -> Evaluation:
    """
    Measure the effect of premium on past nights, with 95 % intervals.

    Parameters
    ----------
    history, config, first, last, as_of, runs
        As for :func:`learn_model`.

    Raises
    ------
    ConfigError
        When configuration or dates are wrong, or scikit-learn is not installed.
    DataError
        When there is no history, or nothing in it can be compared.

    Examples
    --------
    >>> import optimizer
    >>> from optimizer.testing import make_config
    >>> optimizer.evaluate(config=make_config())
    Traceback (most recent call last):
    optimizer.errors.DataError: no outcomes are named: ...
    """
    from optimizer.config import as_config
    from optimizer.learn.evaluate import evaluate as measure
    from optimizer.learn.fit import history_of
    from optimizer.learn.window import learning_window

    settings = as_config(config)
    window = learning_window(settings, first, last, as_of, runs)
    return measure(history_of(settings, history, window), settings, window)


def _base(
    run: Path | str | None, config: Settings | None, date: Day | None, progress: Tell
) -> Base:
    """The night that a study starts from: a published one, or a date to be solved."""
    from optimizer.config import as_config
    from optimizer.config.business_date import as_business_date
    from optimizer.whatif.base import base_of_config, base_of_run

    if run is not None and config is None and date is None:
        return base_of_run(run, progress)
    if run is None and config is not None and date is not None:
        settings = as_config(config)
        day = as_business_date(date, settings.timezone)
        return base_of_config(settings, day, progress)
    raise ConfigError(
        "give the folder of a run, or --config and --date (config= and date=)"
    )


def _require_range(name: str, value: float, low: float, high: float | None) -> None:
    """Refuse a number that the commands would refuse."""
    if not value >= low or (high is not None and value > high):
        most = "" if high is None else f" and at most {high:,}"
        raise ConfigError(f"{name} must be at least {low}{most}, got {value}")
