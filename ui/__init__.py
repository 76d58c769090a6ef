"""The window: the only room that imports Qt. It never imports torch nor the insides of `models`."""
