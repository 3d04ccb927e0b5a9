"""How a sound shows itself in a notebook: its spectrogram, and a player below."""

from __future__ import annotations

import base64
import html
import io

from .clip import Audio

__all__ = ["as_html", "as_wav"]

EMBED_LIMIT = 16 * 2**20
"""Most bytes of sound put into a page; a longer one is shown but not played."""


def as_wav(audio: Audio) -> bytes:
    """Return the sound as the bytes of a WAV file, without its record."""
    from .writing import encode

    buffer = io.BytesIO()
    encode(audio, "wav", buffer)
    return buffer.getvalue()


def as_html(audio: Audio) -> str:
    """Return an HTML fragment that needs nothing from outside: a picture and a player."""
    from .spectrogram import picture, png

    image = base64.b64encode(png(picture(audio, 480, 140))).decode("ascii")
    line = html.escape(f"{audio.seconds:.2f} s, {audio.sample_rate} Hz, {audio.channels} channel(s)")
    if audio.samples.numel() * 2 <= EMBED_LIMIT:
        sound = base64.b64encode(as_wav(audio)).decode("ascii")
        player = f'<audio controls style="width:480px" src="data:audio/wav;base64,{sound}"></audio>'
    else:
        player = "too long to be played here; save it to a file"
    return (
        f'<figure style="margin:0"><img alt="spectrogram" width="480" height="140" '
        f'src="data:image/png;base64,{image}"><br>{player}'
        f'<figcaption style="font-size:smaller">{line}</figcaption></figure>'
    )
