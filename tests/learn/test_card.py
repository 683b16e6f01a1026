"""What is printed of a card."""

from __future__ import annotations

from optimizer.learn.card import NUM_PRINTED, printed


def card(num_levels: int) -> str:
    """A card whose effects have as many levels, the last of which differ most."""
    rows = [
        row
        for harm in ("complaint", "return")
        for row in (
            f"| {harm} | pool | +0.500 | 0.100 |",
            *(
                f"| {harm} | c{n:02d} | {'-' if n % 2 else '+'}0.{n:03d} | 0.100 |"
                for n in range(num_levels)
            ),
        )
    ]
    head = ["## What a kept promise removes of the harm (share)", ""]
    head += ["| harm | level | share | standard deviation |", "|---|---|---:|---:|"]
    tail = [
        "",
        "## Promises kept",
        "",
        "| carrier | premium |",
        "|---|---:|",
        "| a | 1 |",
    ]
    return "\n".join(["# Model m", "", "- nights", "", *head, *rows, *tail]) + "\n"


def test_of_many_levels_those_that_differ_most_are_printed():
    """Eight of forty by their distance from the pool, and how many more there are."""
    text = printed(card(40)).splitlines()
    for harm in ("complaint", "return"):
        own = [line.split(" | ")[1] for line in text if line.startswith(f"| {harm} ")]
        names = [f"c{n}" for n in range(40 - NUM_PRINTED, 40)]
        assert own == ["pool", *names, f"{40 - NUM_PRINTED} more on the card"]
    assert text[-5:] == card(40).splitlines()[-5:]


def test_a_card_of_few_levels_is_printed_whole():
    """No level is left out, and no byte differs."""
    for num in (0, 3, NUM_PRINTED):
        assert printed(card(num)) == card(num)
