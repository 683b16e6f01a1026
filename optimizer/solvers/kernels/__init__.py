"""
Compiled loops over flat arrays; each has a plain numpy twin in the tests.

Serial functions that release the lock and are cached on disk: see
:mod:`optimizer.kernel_cache`.
"""
