"""What several tests share: nights, oracles, servers, programs."""
