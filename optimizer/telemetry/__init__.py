"""Reports of a run to people and machines: logs, metrics, lineage, alerts."""
