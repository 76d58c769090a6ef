"""What speaks to a DAW: OSC, MIDI, Link, drag and drop, project files.

Of Stemwright it imports only `studio.song`.
"""
