"""The embedded engine: composes and plays drums, bass, harmony, lead and fx without weights or torch."""
