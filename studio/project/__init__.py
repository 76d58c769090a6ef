"""The song on disk: the project folder, `song.json`, takes by content, WAV clips and MIDI files.

`project` is the door (open, create, save); `codec` turns a Song into JSON and back; `wav` and `midi` write
what DAWs read. Everything written is deterministic: the same song gives the same bytes, with no date and no
absolute path.
"""

from studio.project.errors import ProjectError

__all__ = ["ProjectError"]
