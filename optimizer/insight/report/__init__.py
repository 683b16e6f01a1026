"""The night's report: one HTML file that opens without a network, for people."""

from optimizer.insight.report.numbers import report_figures
from optimizer.insight.report.render import report_html

__all__ = ["report_figures", "report_html"]
