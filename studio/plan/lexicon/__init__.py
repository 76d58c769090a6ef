"""Words and what they mean, as tables. English and Russian; in lower case, with е for ё."""
