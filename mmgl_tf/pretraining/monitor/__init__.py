"""What is measured of held-out images after each epoch, whatever the method."""
