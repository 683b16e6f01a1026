"""
Nights that exceed one machine: the same night on Apache Spark.

Executors check and value rows, keep merchants together in blocks, and run the same
kernels on them. Lane prices go out; sums, and the few orders near the margin, come
back. Only the DataFrame API is used, so that a cluster, Spark Connect and managed
Spark all run it.
"""

from optimizer.spark.api import SparkNight, allocate
from optimizer.spark.explain import explain_published
from optimizer.spark.write import publish

__all__ = ["SparkNight", "allocate", "explain_published", "publish"]
