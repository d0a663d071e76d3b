"""Update rules along PyTorch's trajectories, learning-rate schedules, loss scaling."""
