"""What a walk through the code passes, found out by walking: the files whose functions stand on the way."""
