"""Gates that open or close channels and pixels, learnt by their gradient."""
