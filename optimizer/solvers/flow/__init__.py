"""The best plan of a network as a flow of least cost, found by OR-Tools; no prices."""
