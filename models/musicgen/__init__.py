"""MusicGen: words to music, a few bars at a time. Needs torch, transformers and a checkpoint."""
