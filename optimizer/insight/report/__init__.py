"""The night's report: one HTML file that opens without a network."""
