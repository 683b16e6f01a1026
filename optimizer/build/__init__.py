"""From checked tables to the frozen problem: codes, savings, caps and limits."""
