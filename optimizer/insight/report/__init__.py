"""The night's report: one HTML file that opens without a network, for people."""

from optimizer.insight.report.page import report_html

__all__ = ["report_html"]
