"""
Expected complaints and returns: estimate, hold out, measure, correct.

The optimum is only as good as its probabilities, and nobody publishes what premium
delivery does. So it is measured: a share of each night is randomised
(:mod:`optimizer.build.experiment`), :mod:`~optimizer.learn.fit` estimates risk,
effect and promise-keeping from what happened, a run uses that model
(:mod:`~optimizer.build.learned_model`), and :mod:`~optimizer.learn.evaluate` says what
premium really did.
"""
