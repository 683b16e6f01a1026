"""The night as a mathematical model: integer savings, a frozen problem, a plan."""
