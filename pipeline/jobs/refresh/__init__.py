"""The refresh: seal, check, rate, publish."""
