"""Arithmetic on sound that `studio` and `models` both need. It stands on numpy alone and knows neither of them."""
