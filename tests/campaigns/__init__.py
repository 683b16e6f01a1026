"""
Campaigns: one kind of trouble, as often as asked, and a count of how each try ended.

``python -m tests.campaigns.kills --count 1000 --seed 7``; each prints a table of
classes, tries and what was lost, and ends with 1 if anything was. A small version of
each runs with the tests. Commands are called in forks of a process that has imported
everything, so that a try costs what the command does, and no start.
"""
