"""The nightly job: run a date, and publish it if its plan is proved."""
