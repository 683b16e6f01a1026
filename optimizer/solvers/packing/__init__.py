"""The packing class: loads and side rows; a whole plan with a proved gap."""
