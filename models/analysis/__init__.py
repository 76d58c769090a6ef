"""What listens to sound instead of making it: separation into stems, beats, notes. Needs torch, or onnxruntime."""
