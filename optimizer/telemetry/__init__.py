"""What people and machines are told of a run: logs, metrics, lineage, alerts."""
