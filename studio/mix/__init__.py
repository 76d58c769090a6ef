"""The sound room: the one block mixer, loudness, true peak, limiting, the finished levels of a song, and tails.

Nothing is imported here, so that `import studio.mix` costs nothing; take what is needed from `studio.mix.mixer`,
`.sources`, `.loudness`, `.truepeak`, `.limiter`, `.curve`, `.master` and `.tails`.
"""
