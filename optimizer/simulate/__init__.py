"""
Simulated days of orders that look like a platform's, with the hidden truth.

Nothing here is measured: shares, probabilities and effects are made up so that a
night has the shape of a real one. Do not quote them as effects of the service.
"""

from optimizer.simulate.nights import (
    SimulatedNight,
    SimulatedNights,
    simulate,
    simulate_night,
)

__all__ = ["SimulatedNight", "SimulatedNights", "simulate", "simulate_night"]
