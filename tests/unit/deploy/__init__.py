"""The containers are the same programs that scripts/run starts."""
