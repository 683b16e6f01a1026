"""Tables in and out: their contract, reading, checking and writing."""
