"""The nightly job: run a date, publish it whole, refuse what is not proved."""
