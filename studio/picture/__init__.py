"""Pictures of a rendered arrangement: stems as waveforms on the bar grid.

`arrangement` says what is to be drawn, `peaks` reads the waveforms, `theme` holds colours and type, `draw`
puts it all on a canvas. Pillow is imported by `theme` and `draw` only.
"""
