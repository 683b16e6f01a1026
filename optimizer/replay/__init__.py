"""A published night built again from its inputs, and certified anew."""
