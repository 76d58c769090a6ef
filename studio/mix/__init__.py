"""The sound room: loudness, limiting, levels, tails and the one block mixer.

Nothing is imported here, so that `import studio.mix` costs nothing; take what is needed from
`studio.mix.loudness`, `.truepeak`, `.limiter`, `.mixer`, `.levels`, `.tails` and `.pcm`.
"""
