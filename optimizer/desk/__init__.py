"""The planner's desk: published nights in a browser, read and never written."""
