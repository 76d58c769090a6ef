"""The benchmark of bar lock: material whose every note's time is known, and what methods make of it."""
