"""Sound of the band: notes to stereo audio. Sampled voices, synthesizer, effects."""
