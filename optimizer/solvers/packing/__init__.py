"""The packing class: loads and side rows; an integer plan with a proved gap."""
