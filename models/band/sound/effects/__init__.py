"""Effects: arrays in, arrays out, (2, frames) float32, full scale +-1.0.

None of them delays the dry sound. Those that take an `out` write there, which may be the sound itself: that saves
fetching new memory for every step.
"""

from models.band.sound.effects.chain import Chain, EffectError, parse_chain
from models.band.sound.effects.clip import saturate, soft_clip
from models.band.sound.effects.dynamics import compress, duck
from models.band.sound.effects.echo import chorus, delay
from models.band.sound.effects.space import impulse_response, reverb
from models.band.sound.effects.stereo import pan, width
from models.band.sound.effects.tape import lofi
from models.band.sound.effects.tone import Band, equalize, remove_dc

__all__ = [
    "Band",
    "Chain",
    "EffectError",
    "chorus",
    "compress",
    "delay",
    "duck",
    "equalize",
    "impulse_response",
    "lofi",
    "pan",
    "parse_chain",
    "remove_dc",
    "reverb",
    "saturate",
    "soft_clip",
    "width",
]
