"""What makes sound. Engines know nothing of `studio`, `bridge` or `ui`; `models.registry` finds them.

`models.api` is the contract between an engine and its callers; `models.styles` holds the styles, as data.
Neither they nor the embedded engines import torch.
"""
